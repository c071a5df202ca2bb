"""Pieces of C that several stages need."""

from __future__ import annotations

from typing import Any

from rnnpool.compile.stages import Stage
from rnnpool.integer.elementwise import IntAdd
from rnnpool.integer.tensors import Quantisation

Code = tuple[list[str], list[str]]  # constants of a stage, and the body of its function


def add_constant(stage: Stage) -> str:
    """The rnp_add of a sum, or of the one that a convolution takes in."""
    node = stage.ints[0] if stage.added is None else stage.added
    assert isinstance(node.op, IntAdd)
    add = node.op
    return (
        f"static const rnp_add add_{stage.index} = {{{add.factor_a}, {add.factor_b}, {add.bias}, "
        f"{add.multiplier}, {node.shape[0]}, {node.shape[2]}, {int(add.upsample)}, {zero_point(stage)}}};"
    )


def one_row(index: int, source: Stage) -> list[str]:
    """Of a stage whose row comes from one row of its source's."""
    return [
        "int32_t stride;",
        f"const int32_t row = stream->progress[{index}].made;",
        f"const uint8_t *const from = rnp_find_row(stream, {source.index}, row, &stride);",
    ]


def if_first(statement: str) -> list[str]:
    """Before a stage's first row: not sooner, since its memory may be in use by an earlier phase."""
    return ["if (row == 0) {", f"    {statement}", "}"]


def zero_point(stage: Stage) -> int:
    """Of the bytes that a stage leaves."""
    output = stage.last.output
    assert isinstance(output, Quantisation)
    return output.zero_point


def literal(value: int) -> str:
    """A number; the smallest one has no literal of its own."""
    return str(value) if value != -(2**31) else "INT32_MIN"


def comma_lines(values: list[Any], width: int = 110) -> list[str]:
    """Comma-separated values in lines of at most ``width`` characters."""
    lines: list[str] = []
    for text in map(str, values):
        if lines and len(lines[-1]) + len(text) + 2 <= width:
            lines[-1] += f", {text}"
        else:
            lines.append(text)
    return lines
