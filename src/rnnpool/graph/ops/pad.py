"""Padding by zeros (or another constant) or by repeating the border."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Op, RowRange, Shape
from rnnpool.graph.tracer import Traced, Tracer, lowers


@dataclass(frozen=True)
class Pad(Op):
    """``mode`` "constant" or "replicate"; ``sides`` are left, right, top, bottom."""

    kind: ClassVar[str] = "pad"
    view: ClassVar[bool] = True
    mode: str
    sides: tuple[int, int, int, int]
    value: float = 0.0

    def infer(self, *shapes: Shape) -> Shape:
        channels, height, width = shapes[0]
        left, right, top, bottom = self.sides
        return channels, height + top + bottom, width + left + right

    def run(self, *inputs: Tensor) -> Tensor:
        if self.mode == "constant":
            return F.pad(inputs[0], self.sides, value=self.value)
        return F.pad(inputs[0], self.sides, mode=self.mode)

    def rows(self, row: int, which: int, inputs: Sequence[Shape], output: Shape) -> RowRange:
        height, source = inputs[0][1], row - self.sides[2]
        if 0 <= source < height:
            return source, source
        if self.mode == "constant":
            return 0, -1
        nearest = 0 if source < 0 else height - 1
        return nearest, nearest


@lowers("pad")
def _pad(
    tracer: Tracer, input: Traced, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Traced:
    if mode not in ("constant", "replicate"):
        raise InputError(f"{tracer.place()}: padding mode {mode!r}; it may be 'constant' or 'replicate'")
    sides = (*pad, *(0,) * (4 - len(pad)))
    if len(sides) != 4 or min(sides) < 0:
        raise InputError(f"{tracer.place()}: padding {tuple(pad)}; it may be up to four sides, none negative")
    left, right, top, bottom = (int(side) for side in sides)
    return tracer.add(Pad(mode, (left, right, top, bottom), float(value or 0)), input)
