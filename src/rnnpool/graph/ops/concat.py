"""Concatenation of channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Op, Shape
from rnnpool.graph.tracer import Traced, Tracer, lowers


@dataclass(frozen=True)
class Concat(Op):
    """Maps of equal height and width, or vectors, one after the other along the channels."""

    kind: ClassVar[str] = "concat"
    view: ClassVar[bool] = True

    def infer(self, *shapes: Shape) -> Shape:
        if any(shape[1:] != shapes[0][1:] for shape in shapes):
            raise InputError(f"a concatenation of {', '.join(map(str, shapes))}; heights and widths must be equal")
        return sum(shape[0] for shape in shapes), *shapes[0][1:]

    def run(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, dim=1)


@lowers("cat", "concat", "concatenate")
def _cat(tracer: Tracer, tensors: Sequence[Traced], dim: int = 0) -> Traced:
    if dim % tensors[0].dim() != 1:
        raise InputError(f"{tracer.place()}: a concatenation along dimension {dim}; it may be 1, the channels")
    return tracer.copy(tensors[0]) if len(tensors) == 1 else tracer.add(Concat(), *tensors)
