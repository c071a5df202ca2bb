"""Two-dimensional convolution with zero padding: dense, grouped, depthwise, 1x1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Madds, Op, RowRange, Shape, sliding, window
from rnnpool.graph.tracer import Traced, Tracer, lowers

Pair = tuple[int, int]


@dataclass(frozen=True)
class Conv(Op):
    """(c_in, H, W) -> (c_out, OH, OW); ``weight`` (c_out, c_in / groups, kh, kw), ``bias`` (c_out,) or None."""

    kind: ClassVar[str] = "conv"
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    weight: Tensor = field(repr=False, compare=False)
    bias: Tensor | None = field(repr=False, compare=False)

    @property
    def depthwise(self) -> bool:
        """One input channel an output channel."""
        return self.groups > 1 and self.weight.shape[1] == 1

    @property
    def pointwise(self) -> bool:
        """1x1, stride 1, no padding: each pixel by itself."""
        return self.kernel == (1, 1) and self.stride == (1, 1) and self.padding == (0, 0)

    def infer(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        c_out, c_in = self.weight.shape[0], self.weight.shape[1] * self.groups
        if len(shape) != 3 or shape[0] != c_in:
            raise InputError(f"a convolution of {c_in} channels is given {shape}")
        sides = zip(shape[1:], self.kernel, self.stride, self.padding, self.dilation, strict=True)
        height, width = (sliding(*side) for side in sides)
        if min(height, width) < 1:
            raise InputError(f"a convolution with kernel {self.kernel} is given {shape}, which is smaller")
        return c_out, height, width

    def run(self, *inputs: Tensor) -> Tensor:
        return F.conv2d(inputs[0], self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def madds(self, inputs: Sequence[Shape], output: Shape) -> Madds:
        return Madds.of(output[1] * output[2] * self.weight.numel())

    def weights(self) -> Mapping[str, Tensor]:
        return {"weight": self.weight} | ({} if self.bias is None else {"bias": self.bias})

    def rows(self, row: int, which: int, inputs: Sequence[Shape], output: Shape) -> RowRange:
        return window(row, self.kernel[0], self.stride[0], self.padding[0], self.dilation[0], inputs[0][1])

    def columns(self, inputs: Sequence[Shape], output: Shape) -> int:
        return (self.kernel[1] - 1) * self.dilation[1] + 1


@lowers("conv2d")
def _conv2d(
    tracer: Tracer,
    input: Traced,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Traced:
    kernel, dilations = (weight.shape[2], weight.shape[3]), pair(dilation)
    if isinstance(padding, str):
        total = [d * (k - 1) for k, d in zip(kernel, dilations, strict=True)]
        if padding == "same" and any(each % 2 for each in total):
            raise InputError(
                f"{tracer.place()}: padding 'same' of an even kernel {kernel} is lopsided; pad it explicitly"
            )
        padding = [each // 2 for each in total] if padding == "same" else 0
    return tracer.add(Conv(kernel, pair(stride), pair(padding), dilations, groups, weight, bias), input)


def pair(value: int | Sequence[int]) -> Pair:
    """An int or a sequence of one or two, as torch takes them."""
    if isinstance(value, int):
        return value, value
    return int(value[0]), int(value[-1])
