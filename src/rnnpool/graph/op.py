"""What an operator is to the rest of the package: one class a kind, holding every fact about it.

A shape is that of one image: (C, H, W) for a map, (F,) for a vector; the batch is not part of the graph.
"Rows" are the H rows of a map; a vector is one row. Subclasses live in ``rnnpool.graph.ops``, a file a family, each
with the rules that turn torch functions into it (``rnnpool.graph.tracer``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

Shape = tuple[int, ...]
RowRange = tuple[int, int]  # first and last row, both included; first > last means none

# What a value held between rows is made of, so that its size follows from the chosen integers:
# "activation" like any map, "state" of a recurrent cell, "sum" of many activations (int32 where activations are int8).
Number = Literal["activation", "state", "sum"]


@dataclass(frozen=True)
class Madds:
    """Multiply-adds of one image, counted three ways (rnnpool.md, section 3); they differ for RNNPool alone.

    ``alone``: every patch computed by itself. ``paper``: half of that a patch, times the padded number of outputs, as
    the paper's tables count. ``shared``: what ``nn.RNNPool2d`` does, which computes nothing twice.
    """

    alone: int
    paper: int
    shared: int

    @classmethod
    def of(cls, count: int) -> Madds:
        """The same number whichever way it is counted."""
        return cls(count, count, count)

    def __add__(self, other: Madds) -> Madds:
        return Madds(self.alone + other.alone, self.paper + other.paper, self.shared + other.shared)


@dataclass(frozen=True)
class Held:
    """Memory that an operator keeps between rows, beside the rows of its inputs; at most ``rows`` at once.

    ``per`` tells what a row of it belongs to: "window", one for each window that is open; "row", one for each input row
    under an open window; "always", there is one from the first row to the last; "act", only while a row is worked on.
    """

    name: str
    rows: int
    width: int
    channels: int
    number: Number
    per: Literal["window", "row", "always", "act"]

    @property
    def count(self) -> int:
        return self.rows * self.width * self.channels


class Op:
    """Base of the operators: frozen dataclasses whose fields are the attributes; tensors among them are weights."""

    kind: ClassVar[str]
    # The output may overwrite the first input element by element (each output number needs that one input number).
    in_place: ClassVar[bool] = False
    # The output is the inputs' numbers read in another way (crop, concatenation, enlargement): nothing need be stored.
    view: ClassVar[bool] = False
    # In torch, writing into the output writes into the input.
    shares_memory: ClassVar[bool] = False

    def infer(self, *shapes: Shape) -> Shape:
        """Output shape, or InputError where the inputs do not fit."""
        raise NotImplementedError

    def run(self, *inputs: Tensor) -> Tensor:
        """The operator in torch, on (B, *shape) tensors: the meaning that integers and C are compared with."""
        raise NotImplementedError

    def madds(self, inputs: Sequence[Shape], output: Shape) -> Madds:
        return Madds.of(0)

    def weights(self) -> Mapping[str, Tensor]:
        """Trained tensors by name; ``parameters`` counts them."""
        return {}

    def rows(self, row: int, which: int, inputs: Sequence[Shape], output: Shape) -> RowRange:
        """The rows of input ``which`` that row ``row`` of the output is computed from; pointwise unless overridden."""
        return row, row

    def columns(self, inputs: Sequence[Shape], output: Shape) -> int:
        """Columns of an input row that one column of the output is computed from; pointwise unless overridden."""
        return 1

    def held(self, inputs: Sequence[Shape], output: Shape) -> tuple[Held, ...]:
        """What is kept when rows are taken in one by one, each once; empty: the operator reads rows kept for it."""
        return ()

    def whole(self) -> bool:
        """Whether every output row needs every row of some input."""
        return False

    def attributes(self) -> dict[str, object]:
        """Everything but the tensors, for tables and messages."""
        return {key: value for key, value in vars(self).items() if not isinstance(value, Tensor) and value is not None}


def window(row: int, kernel: int, stride: int, padding: int, dilation: int, height: int) -> RowRange:
    """Rows under a sliding window, clipped to the map; padded rows are not read."""
    first = row * stride - padding
    return max(0, first), min(height - 1, first + (kernel - 1) * dilation)


def sliding(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """How many windows fit."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def numel(shape: Shape) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def as_map(shape: Shape) -> tuple[int, int, int]:
    """(C, H, W) of any value: a vector is one pixel, a matrix (C, W) is one row."""
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    return numel(shape), 1, 1
