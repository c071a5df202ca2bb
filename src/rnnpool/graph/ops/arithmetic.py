"""Sums and products of two maps; with a constant they are an ``Affine``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Op, RowRange, Shape
from rnnpool.graph.ops.affine import Affine, constant
from rnnpool.graph.tracer import Traced, Tracer, lowers


@dataclass(frozen=True)
class _Pair(Op):
    """Two inputs of the same shape, or the second with height or width 1, or both, spread over the first."""

    in_place: ClassVar[bool] = True

    def infer(self, *shapes: Shape) -> Shape:
        first, second = shapes
        fits = len(first) == len(second) and first[0] == second[0]
        if not fits or any(b not in (a, 1) for a, b in zip(first, second, strict=True)):
            raise InputError(f"{self.kind} of {first} and {second}: they must be equal, or the second (C, 1, 1)")
        return first

    def rows(self, row: int, which: int, inputs: Sequence[Shape], output: Shape) -> RowRange:
        return (0, 0) if which and len(output) == 3 and inputs[1][1] == 1 else (row, row)


@dataclass(frozen=True)
class Add(_Pair):
    """x + y, the residual sum."""

    kind: ClassVar[str] = "add"

    def run(self, *inputs: Tensor) -> Tensor:
        return inputs[0] + inputs[1]


@dataclass(frozen=True)
class Mul(_Pair):
    """x * y; with y (C, 1, 1) the excitation of a squeeze-and-excitation block."""

    kind: ClassVar[str] = "mul"

    def run(self, *inputs: Tensor) -> Tensor:
        return inputs[0] * inputs[1]


def _ordered(tracer: Tracer, op: Op, x: Traced, y: Traced) -> Traced:
    """The larger operand first; both operators commute."""
    return tracer.add(op, x, y) if x.numel() >= y.numel() else tracer.add(op, y, x)


@lowers("add")
def _add(tracer: Tracer, input: object, other: object, *, alpha: float = 1) -> Traced:
    if alpha != 1:
        raise InputError(f"{tracer.place()}: add(alpha={alpha}); it may be 1")
    if isinstance(input, Traced) and isinstance(other, Traced):
        return _ordered(tracer, Add(), input, other)
    x, value = (input, other) if isinstance(input, Traced) else (other, input)
    assert isinstance(x, Traced)
    return tracer.add(Affine(None, constant(tracer, x, value)), x)


@lowers("mul", "multiply")
def _mul(tracer: Tracer, input: object, other: object) -> Traced:
    if isinstance(input, Traced) and isinstance(other, Traced):
        return _ordered(tracer, Mul(), input, other)
    x, value = (input, other) if isinstance(input, Traced) else (other, input)
    assert isinstance(x, Traced)
    return tracer.add(Affine(constant(tracer, x, value), None), x)


@lowers("sub", "subtract")
def _sub(tracer: Tracer, input: object, other: object) -> Traced:
    if isinstance(input, Traced) and not isinstance(other, Traced):
        return tracer.add(Affine(None, constant(tracer, input, other), subtracts=True), input)
    if isinstance(other, Traced) and not isinstance(input, Traced):
        return _rsub(tracer, other, input)
    raise InputError(f"{tracer.place()}: a difference of two maps; write a + (-1) * b")


@lowers("rsub")
def _rsub(tracer: Tracer, input: Traced, other: object) -> Traced:
    return tracer.add(Affine(torch.tensor([-1.0]), constant(tracer, input, other)), input)


@lowers("div", "truediv", "divide", "true_divide")
def _div(tracer: Tracer, input: object, other: object) -> Traced:
    if isinstance(input, Traced) and not isinstance(other, Traced):
        return tracer.add(Affine(constant(tracer, input, other), None, divides=True), input)
    raise InputError(f"{tracer.place()}: a quotient; only map / constant is known")


@lowers("neg", "negative")
def _neg(tracer: Tracer, input: Traced) -> Traced:
    return tracer.add(Affine(torch.tensor([-1.0]), None), input)
