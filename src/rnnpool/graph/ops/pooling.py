"""Maximum and average pooling, sliding and adaptive."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Held, Number, Op, RowRange, Shape, sliding, window
from rnnpool.graph.ops.conv import Pair, pair
from rnnpool.graph.ops.reduce import GlobalPool
from rnnpool.graph.tracer import Traced, Tracer, lowers


@dataclass(frozen=True)
class Pool(Op):
    """``function`` "max" or "avg" over sliding windows.

    Rows are taken in one by one: an open window holds what it has seen so far, a row of partial maxima or sums. Windows
    that move by one row read rows that are kept for them.
    """

    kind: ClassVar[str] = "pool"
    function: str
    kernel: Pair
    stride: Pair
    padding: Pair
    ceil: bool
    count_padding: bool

    def infer(self, *shapes: Shape) -> Shape:
        shape = shapes[0]
        if len(shape) != 3:
            raise InputError(f"a pooling is given {shape}; it must be a map (C, H, W)")
        sides = zip(shape[1:], self.kernel, self.stride, self.padding, strict=True)
        height, width = (self._count(*side) for side in sides)
        if min(height, width) < 1:
            raise InputError(f"a pooling with kernel {self.kernel} is given {shape}, which is smaller")
        return shape[0], height, width

    def _count(self, size: int, kernel: int, stride: int, padding: int) -> int:
        if not self.ceil:
            return sliding(size, kernel, stride, padding)
        count = -(-(size + 2 * padding - kernel) // stride) + 1
        # torch: a window may start in the padding at the end only if it would still touch the map or the left padding
        return count - 1 if (count - 1) * stride >= size + padding else count

    def run(self, *inputs: Tensor) -> Tensor:
        if self.function == "max":
            return F.max_pool2d(inputs[0], self.kernel, self.stride, self.padding, ceil_mode=self.ceil)
        return F.avg_pool2d(inputs[0], self.kernel, self.stride, self.padding, self.ceil, self.count_padding)

    def rows(self, row: int, which: int, inputs: Sequence[Shape], output: Shape) -> RowRange:
        return window(row, self.kernel[0], self.stride[0], self.padding[0], 1, inputs[0][1])

    def columns(self, inputs: Sequence[Shape], output: Shape) -> int:
        return self.kernel[1]

    def held(self, inputs: Sequence[Shape], output: Shape) -> tuple[Held, ...]:
        """The partial results of the windows that are open at once; of stride 1 they are more than the rows below."""
        if self.stride[0] == 1:
            return ()
        windows = min(output[1], -(-self.kernel[0] // self.stride[0]))
        number: Number = "sum" if self.function == "avg" else "activation"
        return (Held("open windows", windows, output[2], output[0], number, "window"),)


@dataclass(frozen=True)
class AdaptivePool(Op):
    """``function`` "max" or "avg" over OH x OW windows that cover the map (torch's adaptive pooling)."""

    kind: ClassVar[str] = "adaptive_pool"
    function: str
    size: Pair

    def infer(self, *shapes: Shape) -> Shape:
        return shapes[0][0], *self.size

    def run(self, *inputs: Tensor) -> Tensor:
        return (F.adaptive_max_pool2d if self.function == "max" else F.adaptive_avg_pool2d)(inputs[0], self.size)

    def rows(self, row: int, which: int, inputs: Sequence[Shape], output: Shape) -> RowRange:
        return _covered(row, output[1], inputs[0][1])

    def columns(self, inputs: Sequence[Shape], output: Shape) -> int:
        spans = (_covered(column, output[2], inputs[0][2]) for column in range(output[2]))
        return max(last - first + 1 for first, last in spans)


def _covered(index: int, count: int, size: int) -> RowRange:
    """What the index-th of count windows covers of a side: the windows overlap where count does not divide the size."""
    return index * size // count, -(-(index + 1) * size // count) - 1


@lowers("max_pool2d")
def _max_pool2d(
    tracer: Tracer,
    input: Traced,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Traced:
    if return_indices or pair(dilation) != (1, 1):
        raise InputError(f"{tracer.place()}: max pooling with indices or dilation; it may have neither")
    kernel = pair(kernel_size)
    op = Pool("max", kernel, pair(stride) if stride else kernel, pair(padding), ceil_mode, count_padding=False)
    return tracer.add(op, input)


@lowers("avg_pool2d")
def _avg_pool2d(
    tracer: Tracer,
    input: Traced,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Traced:
    if divisor_override is not None:
        raise InputError(f"{tracer.place()}: average pooling with divisor_override={divisor_override}; it may be None")
    kernel = pair(kernel_size)
    op = Pool("avg", kernel, pair(stride) if stride else kernel, pair(padding), ceil_mode, count_include_pad)
    return tracer.add(op, input)


def _adaptive(tracer: Tracer, function: str, x: Traced, size: int | Sequence[int | None] | None) -> Traced:
    sizes = (size, size) if size is None or isinstance(size, int) else (size[0], size[-1])
    height, width = (side or x.shape[axis] for side, axis in zip(sizes, (2, 3), strict=True))
    if (height, width) == (1, 1):
        return tracer.add(GlobalPool(function, keep=True), x)
    if (height, width) == tuple(x.shape[2:]):
        return tracer.copy(x)
    return tracer.add(AdaptivePool(function, (height, width)), x)


@lowers("adaptive_avg_pool2d")
def _adaptive_avg_pool2d(tracer: Tracer, input: Traced, output_size: int | Sequence[int | None]) -> Traced:
    return _adaptive(tracer, "avg", input, output_size)


@lowers("adaptive_max_pool2d")
def _adaptive_max_pool2d(
    tracer: Tracer, input: Traced, output_size: int | Sequence[int | None], return_indices: bool = False
) -> Traced:
    if return_indices:
        raise InputError(f"{tracer.place()}: adaptive max pooling with indices; it may have none")
    return _adaptive(tracer, "max", input, output_size)
