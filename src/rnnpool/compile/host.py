"""A compiled network on the machine that runs Python: the same C as a shared library."""

import ctypes

import numpy as np
from numpy.typing import NDArray

from rnnpool.compile.emit import Compiled
from rnnpool.compile.pack import round_up
from rnnpool.errors import InputError
from rnnpool.integer.network import IntNetwork
from rnnpool.target.host import build_shared_library

_SINK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32, ctypes.POINTER(ctypes.c_int16))
STATUS = {
    0: "done",
    -1: "the arena is missing, too small or not aligned",
    -2: "a row has another width",
    -3: "a row after the last",
    -4: "rows are missing",
    -5: "the arena was not begun, or is finished",
}


class HostNetwork:
    """The compiled network as a function of images, and its streaming calls.

    Args:
        compiled: where its C lies; the library is written beside it.

    Raises:
        InputError: the host has no gcc.
    """

    def __init__(self, compiled: Compiled, network: IntNetwork) -> None:
        self.compiled, self.network = compiled, network
        sources = [path for path in compiled.sources if path.suffix == ".c"]
        path = compiled.folder / "build" / f"lib{compiled.name}.so"
        self._library = ctypes.CDLL(str(build_shared_library(sources, path, includes=compiled.includes)))
        self._memory = np.zeros(compiled.plan.bytes // 8, np.uint64)  # aligned to 8
        self._outputs = [np.zeros(network.nodes[number].shape, np.int16) for number in network.outputs]
        self._sink = _SINK(self._take)

    def begin(self, arena_bytes: int | None = None, *, misalign: int = 0) -> int:
        """Status of the C function; the arguments are for tests of its checks."""
        size = self.compiled.plan.bytes if arena_bytes is None else arena_bytes
        return self._call("begin", self._arena(misalign), ctypes.c_size_t(size), self._sink, None)

    def push_row(self, row: NDArray[np.uint8]) -> int:
        """One image row (W, C) of bytes."""
        pixels = np.ascontiguousarray(row, np.uint8)
        pointer = pixels.ctypes.data_as(ctypes.c_void_p)
        return self._call("push_row", self._arena(), pointer, ctypes.c_size_t(len(pixels)))

    def finish(self) -> int:
        return self._call("finish", self._arena())

    @property
    def outputs(self) -> list[NDArray[np.int16]]:
        """What the rows pushed since ``begin`` gave, in the shapes (C, H, W) of the network's outputs."""
        return [output.copy() for output in self._outputs]

    def run(self, image: NDArray[np.uint8]) -> list[NDArray[np.int16]]:
        """Bytes (C, H, W) -> stored outputs, exactly as ``IntNetwork.run``.

        Raises:
            InputError: an image of another type or shape.
        """
        if image.dtype != np.uint8 or image.shape != self.network.image.shape:
            raise InputError(
                f"the image is {image.dtype} {image.shape}; {self.network.name} takes uint8 {self.network.image.shape}"
            )
        self._expect(self.begin())
        for row in image.transpose(1, 2, 0):
            self._expect(self.push_row(row))
        self._expect(self.finish())
        return self.outputs

    def _arena(self, misalign: int = 0) -> ctypes.c_void_p:
        return ctypes.c_void_p(self._memory.ctypes.data + misalign)

    def _call(self, function: str, *arguments: object) -> int:
        return int(getattr(self._library, f"{self.compiled.name}_{function}")(*arguments))

    def _expect(self, status: int) -> None:
        if status != 0:
            raise RuntimeError(f"{self.compiled.name}: {STATUS.get(status, status)}")

    def _take(self, _user: object, output: int, row: int, values: "ctypes._Pointer[ctypes.c_int16]") -> None:
        channels, _, width = self._outputs[output].shape
        step = round_up(channels, 2)
        stored = np.ctypeslib.as_array(values, (width * step,)).reshape(width, step)
        self._outputs[output][:, row] = stored[:, :channels].T
