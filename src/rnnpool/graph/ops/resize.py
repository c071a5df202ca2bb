"""Enlargement by repeating pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Op, RowRange, Shape
from rnnpool.graph.ops.conv import Pair
from rnnpool.graph.tracer import Traced, Tracer, lowers


@dataclass(frozen=True)
class Nearest(Op):
    """Each pixel becomes a block of ``factor`` (rows, columns) equal ones."""

    kind: ClassVar[str] = "nearest"
    view: ClassVar[bool] = True
    factor: Pair

    def infer(self, *shapes: Shape) -> Shape:
        channels, height, width = shapes[0]
        return channels, height * self.factor[0], width * self.factor[1]

    def run(self, *inputs: Tensor) -> Tensor:
        scale = [float(factor) for factor in self.factor]
        return F.interpolate(inputs[0], scale_factor=scale, mode="nearest")

    def rows(self, row: int, which: int, inputs: Sequence[Shape], output: Shape) -> RowRange:
        return row // self.factor[0], row // self.factor[0]


@lowers("interpolate", "upsample", "upsample_nearest")
def _interpolate(
    tracer: Tracer,
    input: Traced,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    *args: object,
    **kwargs: object,
) -> Traced:
    if size is not None:
        sides = (size, size) if isinstance(size, int) else tuple(size)
        factors = [side / of for side, of in zip(sides, input.shape[2:], strict=True)]
    else:
        assert scale_factor is not None
        factors = [scale_factor] * 2 if isinstance(scale_factor, int | float) else list(scale_factor)
    if mode not in ("nearest", "nearest-exact") or any(factor != int(factor) or factor < 1 for factor in factors):
        raise InputError(
            f"{tracer.place()}: interpolate(mode={mode!r}) by {factors}; it may be 'nearest' by whole factors"
        )
    rows, columns = (int(factor) for factor in factors)
    return tracer.copy(input) if (rows, columns) == (1, 1) else tracer.add(Nearest((rows, columns)), input)
