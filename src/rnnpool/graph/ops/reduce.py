"""Reductions over a whole map (global pooling, the squeeze of squeeze-and-excitation) and over channels (max-out)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Held, Op, RowRange, Shape
from rnnpool.graph.tracer import Traced, Tracer, lowers


@dataclass(frozen=True)
class GlobalPool(Op):
    """(C, H, W) -> (C, 1, 1) if ``keep`` else (C,); ``function`` "max" or "avg"."""

    kind: ClassVar[str] = "global_pool"
    function: str
    keep: bool

    def infer(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 3:
            raise InputError(f"a global pooling is given {shapes[0]}; it must be a map (C, H, W)")
        return (shapes[0][0], 1, 1) if self.keep else (shapes[0][0],)

    def run(self, *inputs: Tensor) -> Tensor:
        reduce = inputs[0].amax if self.function == "max" else inputs[0].mean
        return reduce((2, 3), keepdim=self.keep)

    def rows(self, row: int, which: int, inputs: Sequence[Shape], output: Shape) -> RowRange:
        return 0, inputs[0][1] - 1

    def held(self, inputs: Sequence[Shape], output: Shape) -> tuple[Held, ...]:
        return (Held("running total", 1, 1, output[0], "activation" if self.function == "max" else "sum", "always"),)

    def whole(self) -> bool:
        return True


@dataclass(frozen=True)
class ChannelMax(Op):
    """The largest channel of each pixel: (C, H, W) -> (1, H, W). S3FD's max-out of background scores."""

    kind: ClassVar[str] = "channel_max"
    keep: bool

    def infer(self, *shapes: Shape) -> Shape:
        if not self.keep:
            raise InputError("a maximum over channels that drops the dimension; use keepdim=True")
        return 1, *shapes[0][1:]

    def run(self, *inputs: Tensor) -> Tensor:
        return inputs[0].amax(1, keepdim=True)


class ValuesIndices(NamedTuple):
    """What torch.max over a dimension returns; the indices are not known to the graph."""

    values: Traced
    indices: Traced


def _dims(x: Traced, dim: int | Sequence[int] | None) -> tuple[int, ...]:
    dims = tuple(range(x.dim())) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    return tuple(sorted(each % x.dim() for each in dims))


@lowers("mean")
def _mean(
    tracer: Tracer, input: Traced, dim: int | Sequence[int] | None = None, keepdim: bool = False, **kwargs: Any
) -> Traced:
    if _dims(input, dim) != (2, 3):
        message = f"{tracer.place()}: a mean over dimensions {dim}; it may be over (2, 3), the whole map"
        return tracer.later(message, torch.mean, input, dim, keepdim)
    return tracer.add(GlobalPool("avg", keepdim), input)


@lowers("amax")
def _amax(tracer: Tracer, input: Traced, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Traced:
    dims = _dims(input, dim)
    if dims == (1,):
        return tracer.add(ChannelMax(keepdim), input)
    if dims != (2, 3):
        raise InputError(f"{tracer.place()}: a maximum over dimensions {dim}; it may be 1, the channels, or (2, 3)")
    return tracer.add(GlobalPool("max", keepdim), input)


@lowers("max")
def _max(tracer: Tracer, input: Traced, dim: object = None, keepdim: bool = False) -> ValuesIndices | Traced:
    if not isinstance(dim, int):
        message = f"{tracer.place()}: the maximum of a whole tensor, or of two, is no operator of the graph"
        return tracer.later(message, torch.max, *([input] if dim is None else [input, dim]))
    values = _amax(tracer, input, dim, keepdim)
    return ValuesIndices(values, Traced.make(tracer, None, values.shape, f"{tracer.place()}: max's indices are used"))
