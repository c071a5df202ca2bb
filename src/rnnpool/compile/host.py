"""A compiled network on the machine that runs Python: the same C as a shared library."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnpool.compile.emit import Compiled
from rnnpool.compile.pack import round_up
from rnnpool.compile.results import DETECTION, kind_of_results, read_detections
from rnnpool.errors import InputError
from rnnpool.files import write_text
from rnnpool.integer.head import IntHead
from rnnpool.integer.network import IntNetwork
from rnnpool.target.host import build_shared_library

_SINK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32, ctypes.POINTER(ctypes.c_int16))
_ARENA_BYTES = "rnnpool_arena_bytes"
STATUS = {
    0: "done",
    -1: "the arena is missing, too small or not aligned",
    -2: "a row has another width",
    -3: "a row after the last",
    -4: "rows are missing",
    -5: "the arena was not begun, or is finished",
    -6: "an argument is missing or beyond its range",
}


class HostLibrary:
    """The functions of a compiled network in a shared library that ``build_library`` made.

    Args:
        name: prefix of the functions.
        head: that the network was compiled with.
    """

    def __init__(self, path: Path, name: str, network: IntNetwork, head: IntHead | None) -> None:
        self.name, self.network, self.head = name, network, head
        self.kind = kind_of_results(network, head)
        self._library = ctypes.CDLL(str(path))
        self._bytes = ctypes.c_size_t.in_dll(self._library, _ARENA_BYTES).value
        self._memory = np.zeros(self._bytes // 8, np.uint64)  # aligned to 8
        self._outputs = [np.zeros(network.nodes[number].shape, np.int16) for number in network.outputs]
        self._found = np.zeros(0 if head is None else head.candidates, DETECTION)
        self._scores = np.zeros(network.nodes[network.outputs[0]].shape[0], np.int16)
        self._sink = _SINK(self._take)

    def begin(self, arena_bytes: int | None = None, *, misalign: int = 0, missing: bool = False) -> int:
        """Status of the C function; the arguments are for tests of its checks. Output rows are collected."""
        size = self._bytes if arena_bytes is None else arena_bytes
        results = [None for _ in self._results] if missing else self._results
        status = self._call("begin", self._arena(misalign), ctypes.c_size_t(size), *results)
        if status == 0 and self.kind != "rows":
            status = self.watch()
        return status

    def watch(self) -> int:
        return self._call("watch", self._arena(), self._sink, None)

    def push_row(self, row: NDArray[np.uint8]) -> int:
        """One image row (W, C) of bytes."""
        pixels = np.ascontiguousarray(row, np.uint8)
        pointer = pixels.ctypes.data_as(ctypes.c_void_p)
        return self._call("push_row", self._arena(), pointer, ctypes.c_size_t(len(pixels)))

    def finish(self, threshold: int = 0) -> int:
        """Status, or how many detections there are; the threshold is theirs."""
        return self._call("finish", self._arena(), *self._threshold(threshold))

    @property
    def outputs(self) -> list[NDArray[np.int16]]:
        """What the rows pushed since ``begin`` gave, in the shapes (C, H, W) of the network's outputs."""
        return [output.copy() for output in self._outputs]

    @property
    def scores(self) -> NDArray[np.int16]:
        """Of a network that gives class scores: those of the image that was finished."""
        return self._scores.copy()

    def run(self, image: NDArray[np.uint8]) -> list[NDArray[np.int16]]:
        """Bytes (C, H, W) -> stored outputs, exactly as ``IntNetwork.run``.

        Raises:
            InputError: an image of another type or shape.
        """
        self._check(image)
        self._expect(self.begin())
        for row in image.transpose(1, 2, 0):
            self._expect(self.push_row(row))
        self._expect(self.finish())
        return self.outputs

    def detect(self, image: NDArray[np.uint8], threshold: int = 0) -> NDArray[np.int64]:
        """Bytes (C, H, W) -> (n, 5) x1 y1 x2 y2 score, exactly as ``IntHead.detect`` of what the network gives.

        Raises:
            InputError: an image of another type or shape.
        """
        self._check(image)
        pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
        pointer, size = pixels.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(self._bytes)
        count = self._call("run", self._arena(), size, pointer, *self._results, *self._threshold(threshold))
        self._expect(count)
        return read_detections(self._found, count)

    @property
    def _results(self) -> list[object]:
        """The arguments that tell where results go."""
        if self.kind == "rows":
            return [self._sink, None]
        array = self._found if self.kind == "detections" else self._scores
        return [array.ctypes.data_as(ctypes.c_void_p)]

    def _threshold(self, threshold: int) -> list[object]:
        return [ctypes.c_int32(threshold)] if self.kind == "detections" else []

    def _check(self, image: NDArray) -> None:
        if image.dtype != np.uint8 or image.shape != self.network.image.shape:
            raise InputError(
                f"the image is {image.dtype} {image.shape}; {self.network.name} takes uint8 {self.network.image.shape}"
            )

    def _arena(self, misalign: int = 0) -> ctypes.c_void_p:
        return ctypes.c_void_p(self._memory.ctypes.data + misalign)

    def _call(self, function: str, *arguments: object) -> int:
        return int(getattr(self._library, f"{self.name}_{function}")(*arguments))

    def _expect(self, status: int) -> None:
        if status < 0:
            raise RuntimeError(f"{self.name}: {STATUS.get(status, status)}")

    def _take(self, _user: object, output: int, row: int, values: "ctypes._Pointer[ctypes.c_int16]") -> None:
        channels, _, width = self._outputs[output].shape
        step = round_up(channels, 2)
        stored = np.ctypeslib.as_array(values, (width * step,)).reshape(width, step)
        self._outputs[output][:, row] = stored[:, :channels].T


class HostNetwork(HostLibrary):
    """A compiled network; its library is built beside its C.

    Raises:
        InputError: the host has no gcc.
    """

    def __init__(self, compiled: Compiled, network: IntNetwork) -> None:
        self.compiled = compiled
        path = build_library(compiled, compiled.folder / "build" / f"lib{compiled.name}.so")
        super().__init__(path, compiled.name, network, compiled.head)


def build_library(
    compiled: Compiled,
    path: Path,
    flags: Sequence[str] = ("-O2",),
    *,
    defines: Sequence[str] = (),
    more: Sequence[Path] = (),
) -> Path:
    """The network's C, and ``more`` of it, as a shared library for this machine, which also tells an arena's size.

    Raises:
        InputError: no gcc.
        CompileError: it does not take the flags.
    """
    size = compiled.folder / "build" / "arena_bytes.c"
    header, constant = f"{compiled.name}.h", f"{compiled.name.upper()}_ARENA_BYTES"
    write_text(size, f'#include "{header}"\nextern const size_t {_ARENA_BYTES};\n'
               f"const size_t {_ARENA_BYTES} = {constant};\n")  # fmt: skip
    sources = [size, *more, *(source for source in compiled.sources if source.suffix == ".c")]
    return build_shared_library(sources, path, includes=compiled.includes, defines=defines, optimise=flags)
