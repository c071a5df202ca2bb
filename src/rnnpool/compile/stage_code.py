"""The C of each stage: its constants, and the body of its function."""

from typing import Any

from numpy.typing import NDArray

from rnnpool.compile.pack import (
    EXPAND_GROUP,
    pack_depthwise,
    pack_nibbles,
    pack_pointwise,
    pack_sums,
    rnnpool_arrays,
    round_up,
    row_pitch,
)
from rnnpool.compile.places import KEPT, OPEN, OUTPUT, SCRATCH, Place
from rnnpool.compile.schedule import ALIGNMENT, Plan
from rnnpool.compile.stages import Stage
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.elementwise import IntAdd, IntMean, IntPad
from rnnpool.integer.l2norm import IntL2Norm
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.rnnpool2d import IntRNNPool
from rnnpool.integer.tensors import Quantisation

_C_TYPES = {"i1": "int8_t", "u4": "uint32_t", "i4": "int32_t", "i2": "int16_t"}


class StageCode:
    """Constants and bodies of the stages."""

    def __init__(self, network: IntNetwork, plan: Plan) -> None:
        self.network, self.plan = network, plan
        self.arrays: list[tuple[str, NDArray]] = []
        self.ring_slots: list[int] = []  # of all stages, one after the other

    def stage(self, stage: Stage) -> dict[str, Any]:
        """What the template says of a stage."""
        place = self.plan.places.get(stage)
        emitted: dict[str, Any] = {
            "index": stage.index,
            "name": stage.last.name,
            "comment": f"{stage.index}: {stage.kind} {', '.join(node.name for node in stage.ints)}"
            + ("" if stage.added is None else f", + {stage.added.name}"),
            "channels": stage.channels if place is None else place.channels,
            "stride": 0 if place is None else place.stride,
            "width": stage.width,
            "height": stage.rows,
            "slots": 0 if place is None else len(place.ring),
            "ring": self._ring(place),
            "arriving": "RNP_NOWHERE" if place is None or place.arriving is None else str(place.arriving),
            "zeros": "NULL" if stage.wide else f"zeros_{zero_point(stage)} + {ALIGNMENT}",
            "constants": [],
            "body": [],
        }
        if stage.kind != "image":
            constants, body = getattr(self, f"_{stage.kind}")(stage)
            emitted["constants"] = constants
            emitted["body"] = ["const rnp_stream stream = open_stream(c);", *body]
        return emitted

    def _ring(self, place: Place | None) -> str:
        """The slots of a value's ring, put behind those of the others."""
        if place is None or not place.ring:
            return "NULL"
        begin = len(self.ring_slots)
        self.ring_slots += place.ring
        return f"ring_slots + {begin}"

    def _at(self, stage: Stage, kind: int) -> str:
        """The address of what a stage keeps or needs."""
        return f"stream.arena + {self.plan.offsets[stage, kind]}"

    def zeros(self) -> list[tuple[int, int]]:
        """Rows of zero points: value and bytes, with ALIGNMENT bytes before the first pixel."""
        widest: dict[int, int] = {}
        for stage in self.plan.stages:
            if not stage.wide:
                zero = zero_point(stage)
                widest[zero] = max(widest.get(zero, 0), stage.width)
        return [(zero, ALIGNMENT + round_up(width) + 4 * ALIGNMENT) for zero, width in sorted(widest.items())]

    def weights(self, title: str) -> str:
        """The header of constants."""
        parts = [f"/* {title}: packed weights (formats: rnp_pointwise.h, rnp_depthwise.h, rnp_fastgrnn.h). */"]
        for name, array in self.arrays:
            kind = _C_TYPES[array.dtype.str[1:]]
            unsigned = array.dtype.kind == "u"
            numbers = [f"0x{v:x}u" if unsigned else _literal(v) for v in array.reshape(-1).tolist()]
            parts.append(f"static const {kind} {name}[{array.size}] __attribute__((aligned(8))) = {{")
            parts += [f"    {line}," for line in comma_lines(numbers)]
            parts.append("};")
        return "\n".join(parts) + "\n"

    def _keep(self, stage: Stage, name: str, array: NDArray) -> str:
        full = f"{name}_{stage.index}"
        self.arrays.append((full, array))
        return full

    def _place(self, stage: Stage) -> tuple[int, int]:
        """Channel stride and zero point of the stage's bytes; 0, 0 of int16 rows."""
        if stage.wide:
            return 0, 0
        node = stage.ints[-1]
        assert isinstance(node.output, Quantisation)
        return self.plan.places[stage].stride, node.output.zero_point

    def _conv(self, stage: Stage) -> tuple[list[str], list[str]]:
        op = stage.ints[0].op
        assert isinstance(op, IntConv)
        i, (source,) = stage.index, stage.sources[:1]
        (kh, kw), (sh, sw), (ph, pw) = op.weights.shape[2:], op.stride, op.padding
        pack = pack_nibbles if stage.nibbles else pack_pointwise
        weights = self._keep(stage, "weights", pack(op))
        stride, zero = self._place(stage)
        outputs = round_up(len(op.weights), 2)
        constants = [
            f"static const rnp_conv conv_{i} = {{{{{op.weights.shape[1]}, {kh}, {kw}, {sw}, {pw}}}, {weights}, "
            f"{outputs}, {stage.width}, {stride}, {zero}}};"
        ]
        if stage.nibbles:
            call = f"(&conv_{i}, from, stride, {{}}, {self._at(stage, SCRATCH)});"
            return self._finish(stage, constants, _one_row(i, source), "rnp_nibbles_conv_row", call)
        body = [
            f"const uint8_t *rows[{kh}];",
            f"int32_t strides[{kh}];",
            f"const int32_t row = stream.progress[{i}].made;",
            f"rnp_find_rows(&stream, {source.index}, row * {sh} - {ph}, {kh}, rows, strides);",
        ]
        call = f"(&conv_{i}, rows, strides, {{}}, {self._at(stage, SCRATCH)});"
        return self._finish(stage, constants, body, "rnp_conv_row", call)

    def _pair(self, stage: Stage) -> tuple[list[str], list[str]]:
        inner, outer = (node.op for node in stage.ints)
        assert isinstance(inner, IntConv)
        assert isinstance(outer, IntConv)
        i, source = stage.index, stage.sources[0]
        pack = pack_nibbles if stage.nibbles else pack_pointwise
        first = self._keep(stage, "weights_inner", pack(inner))
        second = self._keep(stage, "weights", pack(outer))
        stride, zero = self._place(stage)
        constants = [
            f"static const rnp_pair pair_{i} = {{{inner.weights.shape[1]}, {len(inner.weights)}, "
            f"{round_up(len(outer.weights), 2)}, {stage.width}, {first}, {second}, {stride}, {zero}}};"
        ]
        call = f"(&pair_{i}, from, stride, {{}}, {self._at(stage, SCRATCH)});"
        kernel = "rnp_nibbles_pair_row" if stage.nibbles else "rnp_pair_row"
        return self._finish(stage, constants, _one_row(i, source), kernel, call)

    def _finish(
        self, stage: Stage, constants: list[str], body: list[str], kernel: str, call: str
    ) -> tuple[list[str], list[str]]:
        """A dense kernel's call into the next row, or into the output row, and the sum that follows in place."""
        i = stage.index
        if stage.wide:
            number = [self.network.nodes[output].name for output in self.network.outputs].index(stage.last.name)
            return constants, [
                *body,
                f"int16_t *const out = (int16_t *)(void *)({self._at(stage, OUTPUT)});",
                f"{kernel}_i16{call.format('out')}",
                f"stream.progress[{i}].made++;",
                f"give(c, {number}, row, out);",
            ]
        body = [*body, f"uint8_t *const out = rnp_next_row(&stream, {i});", kernel + call.format("out")]
        if stage.added is not None:
            assert stage.other is not None
            add, stride = self._add_constant(stage), self.plan.places[stage].stride
            constants = [*constants, add]
            own_first = self.network.nodes[stage.added.inputs[0]] is stage.ints[-1]
            operands = ["out", str(stride)], ["other", "other_stride"]
            a, b = operands if own_first else operands[::-1]
            body += [
                "int32_t other_stride;",
                f"const uint8_t *const other = rnp_find_row(&stream, {stage.other.index}, row, &other_stride);",
                f"rnp_add_row(&add_{i}, {', '.join(a)}, {', '.join(b)}, out, {stride});",
            ]
        return constants, [*body, f"rnp_row_made(&stream, {i});"]

    def _add_constant(self, stage: Stage) -> str:
        node = stage.ints[0] if stage.added is None else stage.added
        assert isinstance(node.op, IntAdd)
        add = node.op
        return (
            f"static const rnp_add add_{stage.index} = {{{add.factor_a}, {add.factor_b}, {add.bias}, "
            f"{add.multiplier}, {node.shape[0]}, {node.shape[2]}, {int(add.upsample)}, {zero_point(stage)}}};"
        )

    def _add(self, stage: Stage) -> tuple[list[str], list[str]]:
        i, (first, second) = stage.index, stage.sources
        op = stage.ints[0].op
        assert isinstance(op, IntAdd)
        other_row = "row / 2" if op.upsample else "row"
        return [self._add_constant(stage)], [
            "int32_t stride_a, stride_b;",
            f"const int32_t row = stream.progress[{i}].made;",
            f"const uint8_t *const a = rnp_find_row(&stream, {first.index}, row, &stride_a);",
            f"const uint8_t *const b = rnp_find_row(&stream, {second.index}, {other_row}, &stride_b);",
            f"rnp_add_row(&add_{i}, a, stride_a, b, stride_b, rnp_next_row(&stream, {i}), "
            f"{self.plan.places[stage].stride});",
            f"rnp_row_made(&stream, {i});",
        ]

    def _border(self, stage: Stage) -> tuple[list[str], list[str]]:
        op = stage.ints[0].op
        assert isinstance(op, IntPad)
        i, source = stage.index, stage.sources[0]
        left, right, top, _ = op.sides
        stride, zero = self._place(stage)
        constants = [
            f"static const rnp_border border_{i} = {{{stage.channels}, {source.width}, {left}, {right}, "
            f"{int(op.replicate)}, {stride}, {zero}}};"
        ]
        last = source.rows - 1
        row = f"stream.progress[{i}].made - {top}"
        nearest = f"const int32_t row = {row};"
        if op.replicate:
            nearest = f"const int32_t moved = {row}, row = moved < 0 ? 0 : moved > {last} ? {last} : moved;"
        body = [
            "int32_t stride;",
            nearest,
            f"const uint8_t *const from = rnp_find_row(&stream, {source.index}, row, &stride);",
            f"rnp_border_row(&border_{i}, from, stride, rnp_next_row(&stream, {i}));",
            f"rnp_row_made(&stream, {i});",
        ]
        return constants, body

    def _l2norm(self, stage: Stage) -> tuple[list[str], list[str]]:
        op = stage.ints[0].op
        assert isinstance(op, IntL2Norm)
        i, source = stage.index, stage.sources[0]
        constants = [
            f"static const rnp_l2norm l2norm_{i} = {{{op.bias}, {op.numerator}u, {op.zero_in}, {op.zero_out}, "
            f"{stage.channels}, {stage.width}, {self.plan.places[stage].stride}}};"
        ]
        body = [
            "int32_t stride;",
            f"const int32_t row = stream.progress[{i}].made;",
            f"const uint8_t *const from = rnp_find_row(&stream, {source.index}, row, &stride);",
            f"rnp_l2norm_row(&l2norm_{i}, from, stride, rnp_next_row(&stream, {i}));",
            f"rnp_row_made(&stream, {i});",
        ]
        return constants, body

    def _depthwise(self, stage: Stage) -> tuple[list[str], list[str]]:
        op = stage.ints[0].op
        assert isinstance(op, IntConv)
        i, source = stage.index, stage.sources[0]
        weights = self._keep(stage, "weights", pack_depthwise(op))
        stride, zero = self._place(stage)
        constants = [
            f"static const rnp_depthwise depthwise_{i} = {{{weights}, {len(op.weights)}, {op.stride[0]}, "
            f"{stage.width}, {stride}, {int(self.plan.places[stage].gap > 0)}, {zero}}};"
        ]
        body = [
            "const uint8_t *rows[3];",
            "int32_t strides[3];",
            f"const int32_t row = stream.progress[{i}].made;",
            f"rnp_find_rows(&stream, {source.index}, row * {op.stride[0]} - 1, 3, rows, strides);",
            f"uint8_t *const out = rnp_next_row(&stream, {i});",
            f"rnp_depthwise_row(&depthwise_{i}, rows, strides, out);",
        ]
        if stage.added is not None:
            constants, body = self._in_place_sum(stage, constants, body)
        return constants, [*body, f"rnp_row_made(&stream, {i});"]

    def _sums(self, stage: Stage) -> tuple[list[str], list[str]]:
        op = stage.ints[0].op
        assert isinstance(op, IntConv)
        i, source = stage.index, stage.sources[0]
        packed = pack_sums(op)
        weights = self._keep(stage, "weights", packed)
        rows = ", ".join(f"{weights} + {y * packed[0].size}" for y in range(3))
        outputs = round_up(len(op.weights), 2)
        constants = [
            f"static const rnp_sums sums_{i} = {{{source.channels}, {outputs}, {stage.width}, {stage.rows}, "
            f"{{{rows}}}}};"
        ]
        number = [self.network.nodes[output].name for output in self.network.outputs].index(stage.last.name)
        call = f"rnp_sums_row(&sums_{i}, state, {{}}, out, {self._at(stage, SCRATCH)});"
        return constants, [
            f"void *const state = {self._at(stage, KEPT)};",
            f"int16_t *const out = (int16_t *)(void *)({self._at(stage, OUTPUT)});",
            f"const int32_t row = stream.progress[{i}].taken++;",
            *_if_first(call.format(f"-1, values[{source.index}].zeros, 0")),
            "int32_t stride;",
            f"const uint8_t *const from = rnp_find_row(&stream, {source.index}, row, &stride);",
            call.format("row, from, stride"),
            "if (row > 0) {",
            f"    stream.progress[{i}].made++;",
            f"    give(c, {number}, row - 1, out);",
            "}",
        ]

    def _expand(self, stage: Stage) -> tuple[list[str], list[str]]:
        inner, outer = stage.ints
        assert isinstance(inner.op, IntConv)
        assert isinstance(outer.op, IntConv)
        assert isinstance(inner.output, Quantisation)
        i, source = stage.index, stage.sources[0]
        wide, _, width = inner.shape
        first = self._keep(stage, "weights_inner", pack_pointwise(inner.op))
        second = self._keep(stage, "weights", pack_depthwise(outer.op))
        stride, zero = self._place(stage)
        constants = [
            f"static const rnp_expand expand_{i} = {{",
            f"    {{{{{source.channels}, 1, 1, 1, 0}}, {first}, {round_up(wide, 2)}, {width}, {row_pitch(width)}, "
            f"{inner.output.zero_point}}},",
            f"    {{{second}, {wide}, 2, {stage.width}, {stride}, {int(self.plan.places[stage].gap > 0)}, {zero}}},",
            f"    {EXPAND_GROUP}}};",
        ]
        body = [
            "const uint8_t *rows[2];",
            "int32_t strides[2];",
            f"void *const state = {self._at(stage, KEPT)};",
            f"const int32_t row = stream.progress[{i}].made;",
            *_if_first(f"rnp_expand_begin(&expand_{i}, state);"),
            f"rnp_find_rows(&stream, {source.index}, row * 2, 2, rows, strides);",
        ]
        if source.rows % 2:
            body += [f"if (row == {stage.rows - 1}) {{", "    rows[1] = NULL;", "}"]
        return constants, [
            *body,
            f"rnp_expand_row(&expand_{i}, state, rows, strides, rnp_next_row(&stream, {i}), "
            f"{self._at(stage, SCRATCH)});",
            f"rnp_row_made(&stream, {i});",
        ]

    def _in_place_sum(self, stage: Stage, constants: list[str], body: list[str]) -> tuple[list[str], list[str]]:
        """A depthwise convolution's result takes the sum in place as dense ones do."""
        assert stage.other is not None
        assert stage.added is not None
        stride = self.plan.places[stage].stride
        own_first = self.network.nodes[stage.added.inputs[0]] is stage.ints[-1]
        operands = ["out", str(stride)], ["other", "other_stride"]
        a, b = operands if own_first else operands[::-1]
        return [*constants, self._add_constant(stage)], [
            *body,
            "int32_t other_stride;",
            f"const uint8_t *const other = rnp_find_row(&stream, {stage.other.index}, row, &other_stride);",
            f"rnp_add_row(&add_{stage.index}, {', '.join(a)}, {', '.join(b)}, out, {stride});",
        ]

    def _rnnpool(self, stage: Stage) -> tuple[list[str], list[str]]:
        op = stage.ints[0].op
        assert isinstance(op, IntRNNPool)
        i, source = stage.index, stage.sources[0]
        names = {key: self._keep(stage, key, array) for key, array in rnnpool_arrays(op).items()}
        (kh, kw), (sh, sw), (ph, pw) = op.kernel, op.stride, op.padding
        h2 = len(op.rnn2.gates)
        u1, u2 = round_up(len(op.rnn1.gates)), round_up(h2)
        _, height, width = stage.last.shape
        stride, zero = self._place(stage)
        constants = [
            f"static const rnp_rnnpool rnnpool_{i} = {{{op.project_input.weights.shape[1]}, {width}, {height}, {kh}, "
            f"{kw}, {sh}, {sw}, {pw}, {int(op.narrow)}, {names['input']},",
            f"    {{{u1}, {names['rnn1_hidden']}, {names['rnn1_gates']}}},",
            f"    {{{u1}, {u2}, {names['project']}, {names['project_bias']}}},",
            f"    {{{u2}, {names['rnn2_hidden']}, {names['rnn2_gates']}}},",
            f"    {h2}, {names['scales']}, {stride}, {zero}}};",
        ]
        push = f"rnp_rnnpool_push(&rnnpool_{i}, state, open, {{}}, {self._at(stage, SCRATCH)});"
        ready = f"rnp_rnnpool_ready(&rnnpool_{i}, state)"
        above = f"for (int32_t pad = 0; row == 0 && pad < {ph}; pad++) {{"
        below = f"for (int32_t pad = 0; row == {source.rows - 1} && pad < {ph} && !{ready}; pad++) {{"
        zeros = push.format(f"values[{source.index}].zeros, 0")
        body = [
            f"void *const state = {self._at(stage, KEPT)}, *const open = {self._at(stage, OPEN)};",
            f"const int32_t row = stream.progress[{i}].taken;",
            *_if_first(f"rnp_rnnpool_begin(&rnnpool_{i}, state);"),
            f"if ({ready}) {{",
            f"    rnp_rnnpool_give(&rnnpool_{i}, state, open, rnp_next_row(&stream, {i}), {self._at(stage, SCRATCH)});",
            f"    rnp_row_made(&stream, {i});",
            "    return;",
            "}",
            "int32_t stride;",
            f"const uint8_t *const from = rnp_find_row(&stream, {source.index}, row, &stride);",
            *([above, f"    {zeros}", "}"] if ph else []),
            push.format("from, stride"),
            *([below, f"    {zeros}", "}"] if ph else []),
            f"stream.progress[{i}].taken++;",
        ]
        return constants, body

    def _mean(self, stage: Stage) -> tuple[list[str], list[str]]:
        op = stage.ints[0].op
        assert isinstance(op, IntMean)
        i, source = stage.index, stage.sources[0]
        sums = f"(int32_t *)(void *)({self._at(stage, KEPT)})"
        constants = [
            f"static const rnp_mean mean_{i} = {{{op.bias}, {op.multiplier}, {stage.channels}, {source.width}}};"
        ]
        body = [
            "int32_t stride;",
            f"int32_t *const sums = {sums};",
            f"const int32_t row = stream.progress[{i}].taken++;",
            *_if_first(f"rnp_mean_begin(&mean_{i}, sums);"),
            f"const uint8_t *const from = rnp_find_row(&stream, {source.index}, row, &stride);",
            f"rnp_mean_row(&mean_{i}, from, stride, sums);",
            f"if (row == {source.rows - 1}) {{",
            f"    rnp_mean_finish(&mean_{i}, sums, rnp_next_row(&stream, {i}), {self.plan.places[stage].stride});",
            f"    rnp_row_made(&stream, {i});",
            "}",
        ]
        return constants, body


def _one_row(index: int, source: Stage) -> list[str]:
    """Of a stage whose row comes from one row of its source's."""
    return [
        "int32_t stride;",
        f"const int32_t row = stream.progress[{index}].made;",
        f"const uint8_t *const from = rnp_find_row(&stream, {source.index}, row, &stride);",
    ]


def _if_first(statement: str) -> list[str]:
    """Before a stage's first row: not sooner, since its memory may be in use by an earlier phase."""
    return ["if (row == 0) {", f"    {statement}", "}"]


def zero_point(stage: Stage) -> int:
    output = stage.last.output
    assert isinstance(output, Quantisation)
    return output.zero_point


def _literal(value: int) -> str:
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
