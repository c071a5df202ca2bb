"""The C of convolutions' stages, alone and joined: see ``stage_code``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnpool.compile.c_text import Code, add_constant, if_first, one_row
from rnnpool.compile.pack import (
    EXPAND_GROUP,
    pack_depthwise,
    pack_nibbles,
    pack_pointwise,
    pack_sums,
    round_up,
    row_pitch,
)
from rnnpool.compile.places import KEPT, OUTPUT, SCRATCH
from rnnpool.compile.stages import Stage
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.tensors import Quantisation

if TYPE_CHECKING:
    from rnnpool.compile.stage_code import StageCode


def conv(code: StageCode, stage: Stage) -> Code:
    """A dense convolution, or a grouped one."""
    op = stage.ints[0].op
    assert isinstance(op, IntConv)
    i, (source,) = stage.index, stage.sources[:1]
    (kh, kw), (sh, sw), (ph, pw) = op.weights.shape[2:], op.stride, op.padding
    pack = pack_nibbles if stage.nibbles else pack_pointwise
    weights = code.keep(stage, "weights", pack(op))
    stride, zero = code.place(stage)
    outputs = round_up(len(op.weights), 2) // op.groups
    numbers = (
        f"{{{{{op.weights.shape[1]}, {kh}, {kw}, {sw}, {pw}}}, {weights}, {outputs}, {stage.width}, {stride}, {zero}}}"
    )
    constants = [f"static const rnp_conv conv_{i} = {numbers};"]
    if stage.nibbles or stage.dense:
        call = f"(&conv_{i}, from, stride, {{}}, {code.at(stage, SCRATCH)});"
        kernel = "rnp_dense_row" if stage.dense else "rnp_nibbles_conv_row"
        return _finish(code, stage, constants, one_row(i, source), kernel, call)
    body = [
        f"const uint8_t *rows[{kh}];",
        f"int32_t strides[{kh}];",
        f"const int32_t row = stream->progress[{i}].made;",
        f"rnp_find_rows(stream, {source.index}, row * {sh} - {ph}, {kh}, rows, strides);",
    ]
    call = f"(&conv_{i}, rows, strides, {{}}, {code.at(stage, SCRATCH)});"
    if op.groups > 1:
        constants = [f"static const rnp_grouped conv_{i} = {{{numbers}, {op.groups}}};"]
        return _finish(code, stage, constants, body, "rnp_grouped_row", call)
    return _finish(code, stage, constants, body, "rnp_conv_row", call)


def pair(code: StageCode, stage: Stage) -> Code:
    """Two 1x1 convolutions."""
    inner, outer = (node.op for node in stage.ints)
    assert isinstance(inner, IntConv)
    assert isinstance(outer, IntConv)
    i, source = stage.index, stage.sources[0]
    pack = pack_nibbles if stage.nibbles else pack_pointwise
    first = code.keep(stage, "weights_inner", pack(inner))
    second = code.keep(stage, "weights", pack(outer))
    stride, zero = code.place(stage)
    constants = [
        f"static const rnp_pair pair_{i} = {{{inner.weights.shape[1]}, {len(inner.weights)}, "
        f"{round_up(len(outer.weights), 2)}, {stage.width}, {first}, {second}, {stride}, {zero}}};"
    ]
    call = f"(&pair_{i}, from, stride, {{}}, {code.at(stage, SCRATCH)});"
    kernel = "rnp_nibbles_pair_row" if stage.nibbles else "rnp_pair_row"
    return _finish(code, stage, constants, one_row(i, source), kernel, call)


def depthwise(code: StageCode, stage: Stage) -> Code:
    """A depthwise convolution."""
    op = stage.ints[0].op
    assert isinstance(op, IntConv)
    i, source = stage.index, stage.sources[0]
    weights = code.keep(stage, "weights", pack_depthwise(op))
    stride, zero = code.place(stage)
    constants = [
        f"static const rnp_depthwise depthwise_{i} = {{{weights}, {len(op.weights)}, {op.stride[0]}, "
        f"{stage.width}, {stride}, {int(code.plan.places[stage].gap > 0)}, {zero}}};"
    ]
    body = [
        "const uint8_t *rows[3];",
        "int32_t strides[3];",
        f"const int32_t row = stream->progress[{i}].made;",
        f"rnp_find_rows(stream, {source.index}, row * {op.stride[0]} - 1, 3, rows, strides);",
        f"uint8_t *const out = rnp_next_row(stream, {i});",
        f"rnp_depthwise_row(&depthwise_{i}, rows, strides, out);",
    ]
    if stage.added is not None:
        constants, body = _in_place_sum(code, stage, constants, body)
    return constants, [*body, *code.row_made(stage)]


def expand(code: StageCode, stage: Stage) -> Code:
    """A 1x1 and the depthwise of stride 2 behind it."""
    inner, outer = stage.ints
    assert isinstance(inner.op, IntConv)
    assert isinstance(outer.op, IntConv)
    assert isinstance(inner.output, Quantisation)
    i, source = stage.index, stage.sources[0]
    wide, _, width = inner.shape
    first = code.keep(stage, "weights_inner", pack_pointwise(inner.op))
    second = code.keep(stage, "weights", pack_depthwise(outer.op))
    stride, zero = code.place(stage)
    constants = [
        f"static const rnp_expand expand_{i} = {{",
        f"    {{{{{source.channels}, 1, 1, 1, 0}}, {first}, {round_up(wide, 2)}, {width}, {row_pitch(width)}, "
        f"{inner.output.zero_point}}},",
        f"    {{{second}, {wide}, 2, {stage.width}, {stride}, {int(code.plan.places[stage].gap > 0)}, {zero}}},",
        f"    {EXPAND_GROUP}}};",
    ]
    body = [
        "const uint8_t *rows[2];",
        "int32_t strides[2];",
        f"void *const state = {code.at(stage, KEPT)};",
        f"const int32_t row = stream->progress[{i}].made;",
        *if_first(f"rnp_expand_begin(&expand_{i}, state);"),
        f"rnp_find_rows(stream, {source.index}, row * 2, 2, rows, strides);",
    ]
    if source.rows % 2:
        body += [f"if (row == {stage.rows - 1}) {{", "    rows[1] = NULL;", "}"]
    return constants, [
        *body,
        f"rnp_expand_row(&expand_{i}, state, rows, strides, rnp_next_row(stream, {i}), {code.at(stage, SCRATCH)});",
        *code.row_made(stage),
    ]


def sums(code: StageCode, stage: Stage) -> Code:
    """A 3x3 that keeps sums instead of rows; its last call is for the row below the image."""
    op = stage.ints[0].op
    assert isinstance(op, IntConv)
    i, source = stage.index, stage.sources[0]
    packed = pack_sums(op)
    weights = code.keep(stage, "weights", packed)
    rows = ", ".join(f"{weights} + {y * packed[0].size}" for y in range(3))
    outputs = round_up(len(op.weights), 2)
    constants = [
        f"static const rnp_sums sums_{i} = {{{source.channels}, {outputs}, {stage.width}, {stage.rows}, {{{rows}}}}};"
    ]
    number = code.output_number(stage)
    call = f"rnp_sums_row(&sums_{i}, state, {{}}, out, {code.at(stage, SCRATCH)});"
    return constants, [
        f"void *const state = {code.at(stage, KEPT)};",
        f"int16_t *const out = (int16_t *)(void *)({code.at(stage, OUTPUT)});",
        f"const int32_t row = stream->progress[{i}].taken++;",
        *if_first(call.format(f"-1, values[{source.index}].zeros, 0")),
        "int32_t stride;",
        f"const uint8_t *const from = rnp_find_row(stream, {source.index}, row, &stride);",
        call.format("row, from, stride"),
        "if (row > 0) {",
        f"    stream->progress[{i}].made++;",
        f"    give(stream, {number}, row - 1, out);",
        "}",
    ]


def _finish(code: StageCode, stage: Stage, constants: list[str], body: list[str], kernel: str, call: str) -> Code:
    """A dense kernel's call into the next row, or into the output row, and the sum that follows in place."""
    i = stage.index
    if stage.wide:
        number = code.output_number(stage)
        return constants, [
            *body,
            f"int16_t *const out = (int16_t *)(void *)({code.at(stage, OUTPUT)});",
            f"{kernel}_i16{call.format('out')}",
            f"stream->progress[{i}].made++;",
            f"give(stream, {number}, row, out);",
        ]
    body = [*body, f"uint8_t *const out = rnp_next_row(stream, {i});", kernel + call.format("out")]
    if stage.added is not None:
        constants, body = _in_place_sum(code, stage, constants, body)
    return constants, [*body, *code.row_made(stage)]


def _in_place_sum(code: StageCode, stage: Stage, constants: list[str], body: list[str]) -> Code:
    """The sum that takes a convolution's result, computed in its place."""
    assert stage.other is not None
    assert stage.added is not None
    stride = code.plan.places[stage].stride
    own_first = code.network.nodes[stage.added.inputs[0]] is stage.ints[-1]
    operands = ["out", str(stride)], ["other", "other_stride"]
    a, b = operands if own_first else operands[::-1]
    return [*constants, add_constant(stage)], [
        *body,
        code.trace(stage, stage.ints[-1]),
        "int32_t other_stride;",
        f"const uint8_t *const other = rnp_find_row(stream, {stage.other.index}, row, &other_stride);",
        f"rnp_add_row(&add_{stage.index}, {', '.join(a)}, {', '.join(b)}, out, {stride});",
    ]
