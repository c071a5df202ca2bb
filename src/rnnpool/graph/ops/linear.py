"""Fully connected layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Madds, Op, Shape
from rnnpool.graph.tracer import Traced, Tracer, lowers


@dataclass(frozen=True)
class Linear(Op):
    """(d,) -> (n,); ``weight`` (n, d), ``bias`` (n,) or None."""

    kind: ClassVar[str] = "linear"
    weight: Tensor = field(repr=False, compare=False)
    bias: Tensor | None = field(repr=False, compare=False)

    def infer(self, *shapes: Shape) -> Shape:
        if shapes[0] != (self.weight.shape[1],):
            raise InputError(
                f"a linear layer of {self.weight.shape[1]} inputs is given {shapes[0]}; it must be a vector of as many"
                f" (flatten maps before it, or use a 1x1 convolution)"
            )
        return (self.weight.shape[0],)

    def run(self, *inputs: Tensor) -> Tensor:
        return F.linear(inputs[0], self.weight, self.bias)

    def madds(self, inputs: Sequence[Shape], output: Shape) -> Madds:
        return Madds.of(self.weight.numel())

    def weights(self) -> Mapping[str, Tensor]:
        return {"weight": self.weight} | ({} if self.bias is None else {"bias": self.bias})


@lowers("linear")
def _linear(tracer: Tracer, input: Traced, weight: Tensor, bias: Tensor | None = None) -> Traced:
    return tracer.add(Linear(weight, bias), input)
