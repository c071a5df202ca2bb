"""A scale and an offset a channel: batch norm in evaluation mode, and arithmetic with constants."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Op, Shape
from rnnpool.graph.tracer import Traced, Tracer, lowers


@dataclass(frozen=True)
class BatchNorm(Op):
    """weight * (x - mean) / sqrt(variance + eps) + bias, each (C,); mean and variance are statistics, not trained."""

    kind: ClassVar[str] = "batch_norm"
    in_place: ClassVar[bool] = True
    eps: float
    mean: Tensor = field(repr=False, compare=False)
    variance: Tensor = field(repr=False, compare=False)
    weight: Tensor | None = field(repr=False, compare=False)
    bias: Tensor | None = field(repr=False, compare=False)

    def infer(self, *shapes: Shape) -> Shape:
        if shapes[0][0] != len(self.mean):
            raise InputError(f"a batch norm of {len(self.mean)} channels is given {shapes[0]}")
        return shapes[0]

    def run(self, *inputs: Tensor) -> Tensor:
        return F.batch_norm(inputs[0], self.mean, self.variance, self.weight, self.bias, eps=self.eps)

    def weights(self) -> Mapping[str, Tensor]:
        named = {"weight": self.weight, "bias": self.bias}
        return {name: tensor for name, tensor in named.items() if tensor is not None}

    def scale_offset(self) -> tuple[Tensor, Tensor]:
        """The same as x * scale + offset, each (C,)."""
        scale = torch.rsqrt(self.variance + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        offset = -self.mean * scale
        return scale, offset if self.bias is None else offset + self.bias


@dataclass(frozen=True)
class Affine(Op):
    """x * factor + term, or x / factor if it ``divides``, - term if it ``subtracts``; None: without.

    Each holds one number, or one a channel, in any shape. They are the operands as the code has them: a reciprocal or a
    negative would be a copy, which is not trained and misses later changes.
    """

    kind: ClassVar[str] = "affine"
    in_place: ClassVar[bool] = True
    factor: Tensor | None = field(repr=False, compare=False)
    term: Tensor | None = field(repr=False, compare=False)
    divides: bool = False
    subtracts: bool = False

    @property
    def scale(self) -> Tensor | None:
        """What x is multiplied by, as it is now: (1,) or (C,)."""
        if self.factor is None:
            return None
        return 1 / self.factor.reshape(-1) if self.divides else self.factor.reshape(-1)

    @property
    def offset(self) -> Tensor | None:
        """What is then added, as it is now: (1,) or (C,)."""
        if self.term is None:
            return None
        return -self.term.reshape(-1) if self.subtracts else self.term.reshape(-1)

    def infer(self, *shapes: Shape) -> Shape:
        for tensor in self.weights().values():
            if tensor.numel() not in (1, shapes[0][0]):
                raise InputError(f"{tensor.numel()} constants, one a channel, are applied to {shapes[0]}")
        return shapes[0]

    def run(self, *inputs: Tensor) -> Tensor:
        x = inputs[0]
        shape = (1, -1) + (1,) * (x.dim() - 2)
        if self.factor is not None:
            factor = self.factor.reshape(shape).to(x)
            x = x / factor if self.divides else x * factor
        if self.term is not None:
            term = self.term.reshape(shape).to(x)
            x = x - term if self.subtracts else x + term
        return x

    def weights(self) -> Mapping[str, Tensor]:
        """Only those that are trained: a number written in the code is no parameter."""
        named = {"scale": self.factor, "offset": self.term}
        return {name: tensor for name, tensor in named.items() if tensor is not None and _trained(tensor)}


def _trained(tensor: Tensor) -> bool:
    base = tensor if tensor._base is None else tensor._base
    return isinstance(base, torch.nn.Parameter)


@lowers("batch_norm")
def _batch_norm(
    tracer: Tracer,
    input: Traced,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *_: object,
) -> Traced:
    if running_mean is None or running_var is None:
        raise InputError(f"{tracer.place()}: a batch norm without running statistics depends on the batch")
    return tracer.add(BatchNorm(eps, running_mean, running_var, weight, bias), input)


def constant(tracer: Tracer, x: Traced, value: object) -> Tensor:
    """A Python number as a tensor, or a tensor itself if it holds one number or one a channel."""
    if isinstance(value, int | float):
        return torch.tensor([float(value)])
    if not isinstance(value, Tensor):
        raise InputError(f"{tracer.place()}: arithmetic with a {type(value).__name__}; it may be a number or a tensor")
    channels = x.shape[1]
    per_channel = value.dim() >= x.dim() - 1 and value.numel() == channels == value.shape[1 - x.dim()]
    if value.numel() != 1 and not per_channel:
        raise InputError(
            f"{tracer.place()}: arithmetic of a map {tuple(x.shape[1:])} with constants {tuple(value.shape)};"
            f" they may be one number, or one a channel"
        )
    return value
