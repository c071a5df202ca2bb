"""A part of a map: crops, channel ranges, and the pieces of a split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Op, RowRange, Shape
from rnnpool.graph.ops.reshape import reshaped
from rnnpool.graph.tracer import Traced, Tracer, lowers


@dataclass(frozen=True)
class Slice(Op):
    """Positions start, start + step, ... before stop along each dimension (channels first)."""

    kind: ClassVar[str] = "slice"
    view: ClassVar[bool] = True
    shares_memory: ClassVar[bool] = True
    ranges: tuple[tuple[int, int, int], ...]

    def infer(self, *shapes: Shape) -> Shape:
        return tuple(len(range(*each)) for each in self.ranges)

    def run(self, *inputs: Tensor) -> Tensor:
        return inputs[0][(slice(None), *(slice(*each) for each in self.ranges))]

    def rows(self, row: int, which: int, inputs: Sequence[Shape], output: Shape) -> RowRange:
        if len(output) != 3:
            return row, row
        source = range(*self.ranges[1])[row]
        return source, source


def sliced(tracer: Tracer, x: Traced, cuts: Sequence[slice]) -> Traced:
    """A node for the cuts along dimensions 1, 2, ... of x, or x itself where they keep everything."""
    ranges = tuple(cut.indices(side) for cut, side in zip(cuts, x.shape[1:], strict=True))
    if any(step < 1 or start >= stop for start, stop, step in ranges):
        raise InputError(f"{tracer.place()}: a slice of {tuple(x.shape[1:])} that keeps nothing")
    if all(each == (0, side, 1) for each, side in zip(ranges, x.shape[1:], strict=True)):
        return x
    return tracer.add(Slice(ranges), x)


@lowers("getitem")
def _getitem(tracer: Tracer, input: Traced, index: object) -> Traced:
    entries = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in entries:
        at = entries.index(Ellipsis)
        taken = len([entry for entry in entries if entry is not None]) - 1
        entries[at : at + 1] = [slice(None)] * (input.dim() - taken)
    given = [entry for entry in entries if entry is not None]
    entries += [slice(None)] * (input.dim() - len(given))
    cuts: list[slice] = []
    shape: list[int | None] = []  # of the result; None: whatever the slice leaves
    for entry in entries:
        if entry is None:
            shape.append(1)
        elif isinstance(entry, int):
            side = input.shape[len(cuts)]
            if not -side <= entry < side:
                raise InputError(f"{tracer.place()}: index {entry} of a dimension of {side}")
            cuts.append(slice(entry % side, entry % side + 1))
        elif isinstance(entry, slice):
            cuts.append(entry)
            shape.append(None)
        else:
            raise InputError(
                f"{tracer.place()}: an index that is a {type(entry).__name__}; it may be an int or a slice"
            )
    if isinstance(entries[0], int) or entries[0] is None or cuts[0].indices(1) != (0, 1, 1):
        raise InputError(f"{tracer.place()}: an index into the batch; the first must be a full slice")
    part = sliced(tracer, input, cuts[1:])
    kept = iter(side for side, entry in zip(part.shape, [e for e in entries if e is not None], strict=True)
                if isinstance(entry, slice))  # fmt: skip
    return reshaped(tracer, part, [next(kept) if side is None else side for side in shape])


def _pieces(tracer: Tracer, x: Traced, sizes: Sequence[int], dim: int) -> tuple[Traced, ...]:
    axis, start, pieces = dim % x.dim() - 1, 0, []
    if axis < 0:
        raise InputError(f"{tracer.place()}: a split of the batch")
    for size in sizes:
        cuts = [slice(None)] * (x.dim() - 1)
        cuts[axis] = slice(start, start + size)
        pieces.append(sliced(tracer, x, cuts))
        start += size
    return tuple(pieces)


@lowers("split")
def _split(
    tracer: Tracer, tensor: Traced, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Traced, ...]:
    side = tensor.shape[dim]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        sizes = [min(size, side - start) for start in range(0, side, size)]
    else:
        sizes = list(split_size_or_sections)
    return _pieces(tracer, tensor, sizes, dim)


@lowers("chunk")
def _chunk(tracer: Tracer, input: Traced, chunks: int, dim: int = 0) -> tuple[Traced, ...]:
    return _split(tracer, input, -(-input.shape[dim] // chunks), dim)


@lowers("narrow")
def _narrow(tracer: Tracer, input: Traced, dim: int, start: int, length: int) -> Traced:
    cuts = [slice(None)] * (input.dim() - 1)
    cuts[dim % input.dim() - 1] = slice(start, start + length)
    return sliced(tracer, input, cuts)
