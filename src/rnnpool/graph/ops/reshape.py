"""The same numbers under another shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Op, RowRange, Shape, as_map, numel
from rnnpool.graph.tracer import Traced, Tracer, lowers


def _every_row(inputs: Sequence[Shape]) -> RowRange:
    return 0, as_map(inputs[0])[1] - 1


@dataclass(frozen=True)
class Reshape(Op):
    """Flatten, view, squeeze: channel-first order of numbers is kept."""

    kind: ClassVar[str] = "reshape"
    view: ClassVar[bool] = True
    shares_memory: ClassVar[bool] = True
    shape: Shape

    def infer(self, *shapes: Shape) -> Shape:
        if numel(self.shape) != numel(shapes[0]):
            raise InputError(f"{shapes[0]} cannot be given the shape {self.shape}")
        return self.shape

    def run(self, *inputs: Tensor) -> Tensor:
        return inputs[0].reshape(inputs[0].shape[0], *self.shape)

    def rows(self, row: int, which: int, inputs: Sequence[Shape], output: Shape) -> RowRange:
        return _every_row(inputs)

    def whole(self) -> bool:
        return True


@dataclass(frozen=True)
class Permute(Op):
    """Dimensions in another order; ``order`` counts from the channels as 0."""

    kind: ClassVar[str] = "permute"
    shares_memory: ClassVar[bool] = True
    order: tuple[int, ...]

    def infer(self, *shapes: Shape) -> Shape:
        return tuple(shapes[0][axis] for axis in self.order)

    def run(self, *inputs: Tensor) -> Tensor:
        return inputs[0].permute(0, *(axis + 1 for axis in self.order))

    def rows(self, row: int, which: int, inputs: Sequence[Shape], output: Shape) -> RowRange:
        return _every_row(inputs)

    def whole(self) -> bool:
        return True


def reshaped(tracer: Tracer, x: Traced, shape: Sequence[int]) -> Traced:
    """A node that gives x the shape (1, ...), or x itself if it has it."""
    if tuple(shape) == tuple(x.shape):
        return x
    if len(shape) < 2 or shape[0] != 1:
        raise InputError(f"{tracer.place()}: {tuple(x.shape)} becomes {tuple(shape)}; the first must stay the batch")
    return tracer.add(Reshape(tuple(shape[1:])), x)


@lowers("flatten")
def _flatten(tracer: Tracer, input: Traced, start_dim: int = 0, end_dim: int = -1) -> Traced:
    first, last = start_dim % input.dim(), end_dim % input.dim()
    shape = list(input.shape)
    return reshaped(tracer, input, [*shape[:first], numel(tuple(shape[first : last + 1])), *shape[last + 1 :]])


@lowers("reshape", "view")
def _reshape(tracer: Tracer, input: Traced, *shape: int | Sequence[int], **kwargs: Sequence[int]) -> Traced:
    wanted = kwargs.get("shape", shape)
    sides = list(wanted[0]) if len(wanted) == 1 and not isinstance(wanted[0], int) else [int(s) for s in wanted]  # type: ignore[arg-type]
    if -1 in sides:
        rest = -numel(tuple(sides))
        sides[sides.index(-1)] = input.numel() // max(1, rest)
    return reshaped(tracer, input, sides)


@lowers("squeeze")
def _squeeze(tracer: Tracer, input: Traced, dim: int | Sequence[int] | None = None) -> Traced:
    if dim is None:
        raise InputError(f"{tracer.place()}: squeeze without a dimension may drop the batch; name the dimension")
    dims = [each % input.dim() for each in ([dim] if isinstance(dim, int) else dim)]
    return reshaped(tracer, input, [s for axis, s in enumerate(input.shape) if axis not in dims or s != 1])


@lowers("unsqueeze")
def _unsqueeze(tracer: Tracer, input: Traced, dim: int) -> Traced:
    shape = list(input.shape)
    shape.insert(dim % (input.dim() + 1), 1)
    return reshaped(tracer, input, shape)


def _permuted(tracer: Tracer, x: Traced, order: Sequence[int]) -> Traced:
    order = [axis % x.dim() for axis in order]
    if order[0] != 0:
        raise InputError(f"{tracer.place()}: dimensions are reordered to {tuple(order)}; the first must stay the batch")
    return tracer.add(Permute(tuple(axis - 1 for axis in order[1:])), x)


@lowers("permute")
def _permute(tracer: Tracer, input: Traced, *dims: int | Sequence[int]) -> Traced:
    order = list(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else [int(d) for d in dims]  # type: ignore[arg-type]
    return _permuted(tracer, input, order)


@lowers("transpose", "swapaxes", "swapdims")
def _transpose(tracer: Tracer, input: Traced, dim0: int, dim1: int) -> Traced:
    order = list(range(input.dim()))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _permuted(tracer, input, order)
