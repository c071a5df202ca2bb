"""Every tensor of a compiled network, row by row as its C makes them: what ``rnp_trace.h`` shows, collected.

The C holds most tensors for a few rows at a time only, and some never as rows: what lies between two 1x1 convolutions
that are computed four pixels at a time, and between an expansion and a depthwise convolution of stride 2.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnpool.compile.emit import Compiled
from rnnpool.compile.host import HostLibrary, build_library
from rnnpool.compile.schedule import Plan
from rnnpool.files import write_text
from rnnpool.integer.network import IntNetwork

TRACING = "RNP_TRACING=1"
_RECORD = np.dtype([("tensor", "<i4"), ("row", "<i4"), ("channels", "<i4"), ("stride", "<i4")])
_CALLBACK = ctypes.CFUNCTYPE(
    None, ctypes.c_int32, ctypes.c_int32, ctypes.POINTER(ctypes.c_uint8), ctypes.c_int32, ctypes.c_int32
)
_HOST_SOURCE = """\
#include "rnp_trace.h"
extern void (*rnp_trace_callback)(int32_t, int32_t, const uint8_t *, int32_t, int32_t);
void (*rnp_trace_callback)(int32_t, int32_t, const uint8_t *, int32_t, int32_t);
void rnp_trace(int32_t tensor, int32_t row, const uint8_t *pixels, int32_t channels, int32_t stride) {
    rnp_trace_callback(tensor, row, pixels, channels, stride);
}
"""


def traced_tensors(plan: Plan, network: IntNetwork) -> list[int]:
    """Numbers of the nodes whose rows lie in the arena, the image among them; the caller's int16 rows are not."""
    found = {id(node) for stage in plan.stages if not stage.wide for node in (stage.ints[-1], stage.last)}
    return [number for number, node in enumerate(network.nodes) if id(node) in found]


def untraced_tensors(plan: Plan, network: IntNetwork) -> list[str]:
    """Names of the tensors that never exist as rows."""
    seen = {*traced_tensors(plan, network), *network.outputs}
    return [node.name for number, node in enumerate(network.nodes) if number not in seen]


class Trace:
    """The tensors of one image, as far as they have been made."""

    def __init__(self, plan: Plan, network: IntNetwork) -> None:
        self.network = network
        numbers = traced_tensors(plan, network)
        self.tensors = {number: np.zeros(network.nodes[number].shape, np.uint8) for number in numbers}
        self._made = dict.fromkeys(numbers, 0)

    def add(self, tensor: int, row: int, pixels: NDArray[np.uint8]) -> None:
        """A row (channels, stride).

        Raises:
            RuntimeError: not the tensor's next row, so that something is computed twice or left out.
        """
        if row != self._made[tensor]:
            name = self.network.nodes[tensor].name
            raise RuntimeError(f"row {row} of {name} is made where row {self._made[tensor]} was to come")
        self._made[tensor] += 1
        channels, _, width = self.tensors[tensor].shape
        self.tensors[tensor][:, row] = pixels[:channels, :width]  # convolutions make an even number of channels

    @property
    def numbers(self) -> int:
        """How many numbers the tensors hold."""
        return sum(tensor.size for tensor in self.tensors.values())

    def find_difference(self, truth: Sequence[NDArray]) -> str | None:
        """The first difference from the simulator's tensors, in the order of the layers; None if all are equal.

        Args:
            truth: the tensors of all nodes (``exactness.Truth``).
        """
        for number, found in self.tensors.items():
            node, wanted = self.network.nodes[number], truth[number]
            if self._made[number] != node.shape[1]:
                return f"layer {node.name} made {self._made[number]} of its {node.shape[1]} rows"
            if not np.array_equal(wanted, found):
                row, channel, x = np.argwhere((wanted != found).transpose(1, 0, 2))[0].tolist()
                return (
                    f"layer {node.name}, row {row}, channel {channel}, pixel {x}: {found[channel, row, x]}, where the "
                    f"simulator has {wanted[channel, row, x]}"
                )
        return None


def read_traces(data: bytes, plan: Plan, network: IntNetwork) -> list[Trace]:
    """The traces of the images that a firmware has written: records of four numbers and the pixels."""
    traces: list[Trace] = []
    offset = 0
    while offset < len(data):
        tensor, row, channels, stride = np.frombuffer(data, _RECORD, 1, offset)[0].tolist()
        offset += _RECORD.itemsize
        pixels = np.frombuffer(data, np.uint8, channels * stride, offset).reshape(channels, stride)
        offset += pixels.size
        if tensor == row == 0:  # the first row of an image
            traces.append(Trace(plan, network))
        traces[-1].add(tensor, row, pixels)
    return traces


class TracedNetwork(HostLibrary):
    """A compiled network on this machine that shows all its rows: after ``run`` they are in ``trace``.

    Raises:
        InputError: the host has no gcc.
    """

    def __init__(self, compiled: Compiled, network: IntNetwork) -> None:
        folder = compiled.folder / "build"
        write_text(folder / "trace.c", _HOST_SOURCE)
        path = build_library(
            compiled, folder / f"lib{compiled.name}_traced.so", defines=[TRACING], more=[Path(folder / "trace.c")]
        )
        super().__init__(path, compiled.name, network, compiled.head)
        self._plan = compiled.plan
        self._callback = _CALLBACK(self._show)
        pointer = ctypes.c_void_p.in_dll(self._library, "rnp_trace_callback")
        pointer.value = ctypes.cast(self._callback, ctypes.c_void_p).value
        self._problem: Exception | None = None
        self.trace = Trace(self._plan, network)

    def run(self, image: NDArray[np.uint8]) -> list[NDArray[np.int16]]:
        """As ``HostLibrary.run``; RuntimeError also where a row is not the next one."""
        self.trace, self._problem = Trace(self._plan, self.network), None
        outputs = super().run(image)
        if self._problem is not None:
            raise self._problem
        return outputs

    def _show(
        self, tensor: int, row: int, pixels: "ctypes._Pointer[ctypes.c_uint8]", channels: int, stride: int
    ) -> None:
        try:
            self.trace.add(tensor, row, np.ctypeslib.as_array(pixels, (channels, stride)))
        except RuntimeError as error:  # which C would not pass on
            self._problem = self._problem or error
