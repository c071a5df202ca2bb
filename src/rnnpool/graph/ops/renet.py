"""ReNet kept whole (``rnnpool.nn.renet.ReNet2d``): two bidirectional GRU sweeps over a grid of patches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Madds, Op, RowRange, Shape
from rnnpool.graph.ops.conv import Pair
from rnnpool.graph.tracer import Traced, Tracer, lowers_module
from rnnpool.nn.renet import ReNet2d


@dataclass(frozen=True)
class ReNet(Op):
    """(c, H, W) -> (out, H // kh, W // kw); the backward sweep over the columns starts at the image's last row."""

    kind: ClassVar[str] = "renet"
    channels: int
    out_channels: int
    kernel: Pair
    module: ReNet2d = field(repr=False, compare=False)

    def infer(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(shape) != 3 or shape[0] != self.channels or any(
            size < kernel for size, kernel in zip(shape[1:], self.kernel, strict=True)
        ):  # fmt: skip
            raise InputError(f"ReNet of {self.channels} channels and patches {self.kernel} is given {shape}")
        return self.out_channels, shape[1] // self.kernel[0], shape[2] // self.kernel[1]

    def run(self, *inputs: Tensor) -> Tensor:
        return self.module.forward(inputs[0])  # hooks were traced, as nodes of their own

    def weights(self) -> Mapping[str, Tensor]:
        return dict(self.module.named_parameters())

    def madds(self, inputs: Sequence[Shape], output: Shape) -> Madds:
        """Per cell and sweep: two directions, three gates of ``out / 2`` units over input and state."""
        half, patch = self.out_channels // 2, self.channels * self.kernel[0] * self.kernel[1]
        cell = 2 * 3 * half * (patch + half) + 2 * 3 * half * (self.out_channels + half)
        return Madds.of(output[1] * output[2] * cell)

    def rows(self, row: int, which: int, inputs: Sequence[Shape], output: Shape) -> RowRange:
        return 0, inputs[0][1] - 1

    def columns(self, inputs: Sequence[Shape], output: Shape) -> int:
        return self.kernel[1]

    def whole(self) -> bool:
        return True


@lowers_module(ReNet2d)
def _renet(tracer: Tracer, module: ReNet2d, x: Traced) -> Traced:
    return tracer.add(ReNet(module.in_channels, module.out_channels, module.kernel_size, module), x)
