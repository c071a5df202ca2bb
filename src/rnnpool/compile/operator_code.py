"""The C of the stages that are no convolutions: see ``stage_code``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnpool.compile.c_text import Code, add_constant, if_first
from rnnpool.compile.pack import rnnpool_arrays, round_up
from rnnpool.compile.places import KEPT, OPEN, SCRATCH
from rnnpool.compile.stages import Stage
from rnnpool.integer.elementwise import IntAdd, IntMean, IntPad
from rnnpool.integer.l2norm import IntL2Norm
from rnnpool.integer.rnnpool2d import IntRNNPool

if TYPE_CHECKING:
    from rnnpool.compile.stage_code import StageCode


def add(code: StageCode, stage: Stage) -> Code:
    """A sum that no convolution takes in."""
    i, (first, second) = stage.index, stage.sources
    op = stage.ints[0].op
    assert isinstance(op, IntAdd)
    other_row = "row / 2" if op.upsample else "row"
    return [add_constant(stage)], [
        "int32_t stride_a, stride_b;",
        f"const int32_t row = stream->progress[{i}].made;",
        f"const uint8_t *const a = rnp_find_row(stream, {first.index}, row, &stride_a);",
        f"const uint8_t *const b = rnp_find_row(stream, {second.index}, {other_row}, &stride_b);",
        f"rnp_add_row(&add_{i}, a, stride_a, b, stride_b, rnp_next_row(stream, {i}), "
        f"{code.plan.places[stage].stride});",
        *code.row_made(stage),
    ]


def border(code: StageCode, stage: Stage) -> Code:
    """Pixels around a map."""
    op = stage.ints[0].op
    assert isinstance(op, IntPad)
    i, source = stage.index, stage.sources[0]
    left, right, top, _ = op.sides
    stride, zero = code.place(stage)
    constants = [
        f"static const rnp_border border_{i} = {{{stage.channels}, {source.width}, {left}, {right}, "
        f"{int(op.replicate)}, {stride}, {zero}}};"
    ]
    last = source.rows - 1
    row = f"stream->progress[{i}].made - {top}"
    nearest = f"const int32_t row = {row};"
    if op.replicate:
        nearest = f"const int32_t moved = {row}, row = moved < 0 ? 0 : moved > {last} ? {last} : moved;"
    body = [
        "int32_t stride;",
        nearest,
        f"const uint8_t *const from = rnp_find_row(stream, {source.index}, row, &stride);",
        f"rnp_border_row(&border_{i}, from, stride, rnp_next_row(stream, {i}));",
        *code.row_made(stage),
    ]
    return constants, body


def l2norm(code: StageCode, stage: Stage) -> Code:
    """The L2 norm of pixels."""
    op = stage.ints[0].op
    assert isinstance(op, IntL2Norm)
    i, source = stage.index, stage.sources[0]
    constants = [
        f"static const rnp_l2norm l2norm_{i} = {{{op.bias}, {op.numerator}u, {op.zero_in}, {op.zero_out}, "
        f"{stage.channels}, {stage.width}, {code.plan.places[stage].stride}}};"
    ]
    body = [
        "int32_t stride;",
        f"const int32_t row = stream->progress[{i}].made;",
        f"const uint8_t *const from = rnp_find_row(stream, {source.index}, row, &stride);",
        f"rnp_l2norm_row(&l2norm_{i}, from, stride, rnp_next_row(stream, {i}));",
        *code.row_made(stage),
    ]
    return constants, body


def mean(code: StageCode, stage: Stage) -> Code:
    """The mean of a map."""
    op = stage.ints[0].op
    assert isinstance(op, IntMean)
    i, source = stage.index, stage.sources[0]
    sums = f"(int32_t *)(void *)({code.at(stage, KEPT)})"
    constants = [f"static const rnp_mean mean_{i} = {{{op.bias}, {op.multiplier}, {stage.channels}, {source.width}}};"]
    body = [
        "int32_t stride;",
        f"int32_t *const sums = {sums};",
        f"const int32_t row = stream->progress[{i}].taken++;",
        *if_first(f"rnp_mean_begin(&mean_{i}, sums);"),
        f"const uint8_t *const from = rnp_find_row(stream, {source.index}, row, &stride);",
        f"rnp_mean_row(&mean_{i}, from, stride, sums);",
        f"if (row == {source.rows - 1}) {{",
        f"    rnp_mean_finish(&mean_{i}, sums, rnp_next_row(stream, {i}), {code.plan.places[stage].stride});",
        *(f"    {line}" for line in code.row_made(stage)),
        "}",
    ]
    return constants, body


def rnnpool(code: StageCode, stage: Stage) -> Code:
    """RNNPool: a call takes an input row in, or gives the output row that is ready."""
    op = stage.ints[0].op
    assert isinstance(op, IntRNNPool)
    i, source = stage.index, stage.sources[0]
    names = {key: code.keep(stage, key, array) for key, array in rnnpool_arrays(op).items()}
    (kh, kw), (sh, sw), (ph, pw) = op.kernel, op.stride, op.padding
    h2 = len(op.rnn2.gates)
    u1, u2 = round_up(len(op.rnn1.gates)), round_up(h2)
    _, height, width = stage.last.shape
    stride, zero = code.place(stage)
    constants = [
        f"static const rnp_rnnpool rnnpool_{i} = {{{op.project_input.weights.shape[1]}, {width}, {height}, {kh}, "
        f"{kw}, {sh}, {sw}, {pw}, {int(op.narrow)}, {names['input']},",
        f"    {{{u1}, {names['rnn1_hidden']}, {names['rnn1_gates']}}},",
        f"    {{{u1}, {u2}, {names['project']}, {names['project_bias']}}},",
        f"    {{{u2}, {names['rnn2_hidden']}, {names['rnn2_gates']}}},",
        f"    {h2}, {names['scales']}, {stride}, {zero}}};",
    ]
    push = f"rnp_rnnpool_push(&rnnpool_{i}, state, open, {{}}, {code.at(stage, SCRATCH)});"
    ready = f"rnp_rnnpool_ready(&rnnpool_{i}, state)"
    zeros = push.format(f"values[{source.index}].zeros, 0")
    above = [f"for (int32_t pad = 0; row == 0 && pad < {ph}; pad++) {{", f"    {zeros}", "}"] if ph else []
    # A call pushes the padding that ends one row of windows; where there are more, calls that only give do so, too.
    several = stage.after.count(source.rows - 1) > 1
    below = [
        f"for (int32_t pad = 0; stream->progress[{i}].taken == {source.rows} && pad < {ph} && !{ready}; pad++) {{",
        f"    {zeros}",
        "}",
    ] if ph else []  # fmt: skip
    body = [
        f"void *const state = {code.at(stage, KEPT)}, *const open = {code.at(stage, OPEN)};",
        f"const int32_t row = stream->progress[{i}].taken;",
        *if_first(f"rnp_rnnpool_begin(&rnnpool_{i}, state);"),
        *(below if several else []),
        f"if ({ready}) {{",
        f"    rnp_rnnpool_give(&rnnpool_{i}, state, open, rnp_next_row(stream, {i}), {code.at(stage, SCRATCH)});",
        *(f"    {line}" for line in code.row_made(stage)),
        "    return;",
        "}",
        "int32_t stride;",
        f"const uint8_t *const from = rnp_find_row(stream, {source.index}, row, &stride);",
        *above,
        push.format("from, stride"),
        f"stream->progress[{i}].taken++;",
        *below,
    ]
    return constants, body
