"""Softmax over the channels of each pixel."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Op, Shape
from rnnpool.graph.tracer import Traced, Tracer, lowers


@dataclass(frozen=True)
class Softmax(Op):
    """exp(x) / sum of exp(x) over the channels."""

    kind: ClassVar[str] = "softmax"
    in_place: ClassVar[bool] = True

    def infer(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def run(self, *inputs: Tensor) -> Tensor:
        return torch.softmax(inputs[0], dim=1)


@lowers("softmax")
def _softmax(tracer: Tracer, input: Traced, dim: int | None = None, *args: object, **kwargs: object) -> Traced:
    if dim is None or dim % input.dim() != 1:
        raise InputError(f"{tracer.place()}: softmax over dimension {dim}; it may be 1, the channels")
    return tracer.add(Softmax(), input)
