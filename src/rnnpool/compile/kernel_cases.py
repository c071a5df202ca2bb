"""Kernels called on integer layers: C that runs one, the result it has to give, and the multiply-adds it stands for.

Tests compare and benchmarks count with these; the code also shows how each kernel is called.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnpool.compile.pack import (
    EXPAND_GROUP,
    expand_sizes,
    pack_depthwise,
    pack_nibbles,
    pack_pointwise,
    pack_sums,
    round_up,
    row_pitch,
    sums_sizes,
)
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.elementwise import IntAdd, IntMean, IntPad
from rnnpool.integer.l2norm import IntL2Norm
from rnnpool.target.cases import Case

HEADERS = (
    "rnp_add.h",
    "rnp_border.h",
    "rnp_conv.h",
    "rnp_dense.h",
    "rnp_depthwise.h",
    "rnp_expand.h",
    "rnp_fastgrnn.h",
    "rnp_grouped.h",
    "rnp_l2norm.h",
    "rnp_mean.h",
    "rnp_nibbles.h",
    "rnp_pair.h",
    "rnp_rnnpool.h",
    "rnp_sums.h",
)
LEFT = 4  # bytes before a map, so that its first pixel is aligned and has padding before it


@dataclass(frozen=True)
class KernelCase:
    """A kernel's call and its truth. ``read`` takes the output from the arrays that the code left behind."""

    name: str
    case: Case
    read: Callable[[Mapping[str, NDArray]], NDArray]
    expected: NDArray
    multiply_adds: int


@dataclass(frozen=True)
class PlanarMap:
    """A map in memory: rows [H][C][pitch] with padding, LEFT bytes before it and ``slack`` behind."""

    memory: NDArray[np.uint8]
    pitch: int
    row: int  # bytes from one row to the next

    @classmethod
    def of(cls, x: NDArray[np.uint8], padding: int, zero_point: int, slack: int = 0) -> "PlanarMap":
        channels, height, width = x.shape
        pitch = row_pitch(width, padding)
        memory = np.full(LEFT + height * channels * pitch + slack, zero_point, np.uint8)
        view = memory[LEFT : LEFT + height * channels * pitch].reshape(height, channels, pitch)
        view[:, :, :width] = x.transpose(1, 0, 2)
        return cls(memory, pitch, channels * pitch)


def read_map(memory: NDArray[np.uint8], channels: int, height: int, width: int) -> NDArray[np.uint8]:
    """The (C, H, W) map that kernels wrote, its padding included: (C, H, pitch)."""
    pitch = row_pitch(width)
    return memory[LEFT:].reshape(height, channels, pitch).transpose(1, 0, 2)


def with_padding(y: NDArray[np.uint8], zero_point: int) -> NDArray[np.uint8]:
    """(C, H, W) as ``read_map`` has to find it."""
    pad = row_pitch(y.shape[2]) - y.shape[2]
    return np.pad(y, ((0, 0), (0, 0), (0, pad)), constant_values=zero_point)


def conv_case(conv: IntConv, x: NDArray[np.uint8], *, wide: bool = False) -> KernelCase:
    """A whole map (C, H, W) through rnp_conv_row, or rnp_grouped_row; ``wide``: with int16 output."""
    y: NDArray = conv.run_i16(x) if wide else conv.run(x)
    (outputs, height_out, width_out), (channels, height, width) = y.shape, x.shape
    kh, kw = conv.weights.shape[2:]
    sh, sw = conv.stride
    ph, pw = conv.padding
    # Tiles of 4 outputs read further than the last window.
    source = PlanarMap.of(x, max(pw, 1), conv.zero_in, slack=sw * 4 + kw)
    even, pitch = round_up(outputs, 2), row_pitch(width_out)
    row_out = round_up(width_out) * even if wide else even * pitch  # numbers
    out = "@out + y" if wide else f"@out + {LEFT} + y"
    layer = f"""{{{{{channels // conv.groups}, {kh}, {kw}, {sw}, {pw}}}, @weights, {even // conv.groups}, {width_out},
                 {even if wide else pitch}, {conv.zero_out}}}"""
    kernel = "rnp_conv"
    if conv.groups > 1:
        kernel, layer = "rnp_grouped", f"{{{layer}, {conv.groups}}}"
    code = f"""
    const {kernel} layer = {layer};
    if ({kernel}_buffer_size(&layer) != sizeof @buffer) {{ board_exit(3); }}
    for (int32_t y = 0; y < {height_out}; y++) {{
        const uint8_t *rows[{kh}];
        int32_t strides[{kh}];
        for (int32_t i = 0; i < {kh}; i++) {{
            const int32_t row = y * {sh} - {ph} + i, outside = row < 0 || row >= {height};
            rows[i] = outside ? @zeros + {LEFT} : @x + {LEFT} + row * {source.row};
            strides[i] = outside ? 0 : {source.pitch};
        }}
        {kernel}_row{"_i16" if wide else ""}(&layer, rows, strides, {out} * {row_out}, @buffer);
    }}"""
    arrays: dict[str, NDArray] = {
        "x": source.memory,
        "zeros": np.full(LEFT + source.pitch + sw * 4 + kw, conv.zero_in, np.uint8),
        "weights": pack_pointwise(conv),
        "buffer": np.zeros(round_up(conv.weights[0].size) * 8, np.uint8),
        "out": np.zeros(height_out * row_out, np.int16) if wide else np.zeros(LEFT + height_out * row_out, np.uint8),
    }

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        if wide:
            return arrays["out"].reshape(height_out, -1, even)[:, :width_out, :outputs].transpose(2, 0, 1)
        return read_map(arrays["out"], even, height_out, width_out)[:outputs]

    groups = f" in {conv.groups} groups" if conv.groups > 1 else ""
    name = f"conv {kh}x{kw} s{sw}{groups}, {height}x{width}x{channels} -> {outputs}"
    macs = y.size * conv.weights[0].size
    return KernelCase(name, Case(code, arrays), read, y if wide else with_padding(y, conv.zero_out), macs)


def depthwise_case(conv: IntConv, x: NDArray[np.uint8]) -> KernelCase:
    """A whole map through rnp_depthwise_row."""
    y = conv.run(x)
    (channels, height_out, width_out), (_, height, width) = y.shape, x.shape
    stride = conv.stride[0]
    source = PlanarMap.of(x, 1, conv.zero_in, slack=4 * stride)
    code = f"""
    const rnp_depthwise layer = {{@weights, {channels}, {stride}, {width_out}, {row_pitch(width_out)}, 1,
                                  {conv.zero_out}}};
    for (int32_t y = 0; y < {height_out}; y++) {{
        const uint8_t *rows[3];
        int32_t strides[3];
        for (int32_t i = 0; i < 3; i++) {{
            const int32_t row = y * {stride} - 1 + i, outside = row < 0 || row >= {height};
            rows[i] = outside ? @zeros + {LEFT} : @x + {LEFT} + row * {source.row};
            strides[i] = outside ? 0 : {source.pitch};
        }}
        rnp_depthwise_row(&layer, rows, strides, @out + {LEFT} + y * {channels * row_pitch(width_out)});
    }}"""
    arrays: dict[str, NDArray] = {
        "x": source.memory,
        "zeros": np.full(LEFT + source.pitch + 4 * stride, conv.zero_in, np.uint8),
        "weights": pack_depthwise(conv),
        "out": np.zeros(LEFT + height_out * channels * row_pitch(width_out), np.uint8),
    }

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        return read_map(arrays["out"], channels, height_out, width_out)

    name = f"depthwise 3x3 s{stride}, {height}x{width}x{channels}"
    return KernelCase(name, Case(code, arrays), read, with_padding(y, conv.zero_out), y.size * 9)


def nibbles_case(conv: IntConv, x: NDArray[np.uint8]) -> KernelCase:
    """A 1x1 convolution with weights of 4 bits over a row of pixels (C, 1, W)."""
    y = conv.run(x)
    channels, _, width = x.shape
    outputs = round_up(len(conv.weights), 2)
    source = PlanarMap.of(x, 1, conv.zero_in)
    code = f"""
    const rnp_conv layer = {{{{{channels}, 1, 1, 1, 0}}, @weights, {outputs}, {width}, {row_pitch(width)},
                             {conv.zero_out}}};
    if (rnp_conv_buffer_size(&layer) != sizeof @buffer) {{ board_exit(3); }}
    rnp_nibbles_conv_row(&layer, @x + {LEFT}, {source.pitch}, @out + {LEFT}, @buffer);"""
    arrays: dict[str, NDArray] = {
        "x": source.memory,
        "weights": pack_nibbles(conv),
        "buffer": np.zeros(8 * round_up(channels), np.uint8),
        "out": np.zeros(LEFT + outputs * row_pitch(width), np.uint8),
    }

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        return read_map(arrays["out"], outputs, 1, width)[: len(conv.weights)]

    name = f"1x1 of 4 bits, {width} pixels, {channels} -> {len(conv.weights)}"
    return KernelCase(name, Case(code, arrays), read, with_padding(y, conv.zero_out), y.size * channels)


def expand_project_case(expand: IntConv, project: IntConv, x: NDArray[np.uint8]) -> KernelCase:
    """Two 1x1 convolutions over a row (C, 1, W): rnp_pair_row, or rnp_nibbles_pair_row if 4 bits hold both."""
    y = project.run(expand.run(x))
    channels, _, width = x.shape
    inner, outputs = len(expand.weights), len(project.weights)
    source = PlanarMap.of(x, 1, expand.zero_in)
    nibbles = expand.nibbles and project.nibbles
    prefix, pack = ("rnp_nibbles_pair", pack_nibbles) if nibbles else ("rnp_pair", pack_pointwise)
    code = f"""
    const rnp_pair layer = {{{channels}, {inner}, {outputs}, {width}, @expand, @project, {row_pitch(width)},
                             {project.zero_out}}};
    if (rnp_pair_buffer_size(&layer) != sizeof @buffer) {{ board_exit(3); }}
    {prefix}_row(&layer, @x + {LEFT}, {source.pitch}, @out + {LEFT}, @buffer);"""
    arrays: dict[str, NDArray] = {
        "x": source.memory,
        "expand": pack(expand),
        "project": pack(project),
        "buffer": np.zeros(8 * (round_up(channels) + inner), np.uint8),
        "out": np.zeros(LEFT + outputs * row_pitch(width), np.uint8),
    }

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        return read_map(arrays["out"], outputs, 1, width)

    macs = width * inner * (channels + outputs)
    name = f"1x1 pair, {width} pixels, {channels} -> {inner} -> {outputs}"
    return KernelCase(name, Case(code, arrays), read, with_padding(y, project.zero_out), macs)


def expand_case(expand: IntConv, depthwise: IntConv, x: NDArray[np.uint8], group: int = EXPAND_GROUP) -> KernelCase:
    """A whole map (C, H, W) through a 1x1 and a depthwise convolution of stride 2 by rnp_expand_row."""
    y = depthwise.run(expand.run(x))
    (channels, height, width), (wide, height_out, width_out) = x.shape, y.shape
    source = PlanarMap.of(x, 1, expand.zero_in)
    pitch, row = row_pitch(width), wide * row_pitch(width_out)
    state, scratch = expand_sizes(channels, wide, width, pitch, group)
    code = f"""
    const rnp_expand layer = {{{{{{{channels}, 1, 1, 1, 0}}, @expand, {round_up(wide, 2)}, {width}, {pitch},
                                {expand.zero_out}}},
                               {{@depthwise, {wide}, 2, {width_out}, {row_pitch(width_out)}, 1, {depthwise.zero_out}}},
                               {group}}};
    if (rnp_expand_state_size(&layer) != sizeof @state || rnp_expand_buffer_size(&layer) != sizeof @buffer) {{
        board_exit(3);
    }}
    rnp_expand_begin(&layer, @state);
    for (int32_t y = 0; y < {height_out}; y++) {{
        const uint8_t *const above = @x + {LEFT} + 2 * y * {source.row};
        const uint8_t *const rows[2] = {{above, 2 * y + 1 < {height} ? above + {source.row} : NULL}};
        const int32_t strides[2] = {{{source.pitch}, {source.pitch}}};
        rnp_expand_row(&layer, @state, rows, strides, @out + {LEFT} + y * {row}, @buffer);
    }}"""
    arrays: dict[str, NDArray] = {
        "x": source.memory,
        "expand": pack_pointwise(expand),
        "depthwise": pack_depthwise(depthwise),
        "state": np.full(state, 99, np.uint8),
        "buffer": np.zeros(scratch, np.uint8),
        "out": np.zeros(LEFT + height_out * row, np.uint8),
    }

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        return read_map(arrays["out"], wide, height_out, width_out)

    macs = expand.run(x).size * channels + y.size * 9
    name = f"expand and depthwise s2, {height}x{width}x{channels} -> {wide}"
    return KernelCase(name, Case(code, arrays), read, with_padding(y, depthwise.zero_out), macs)


def sums_case(conv: IntConv, x: NDArray[np.uint8]) -> KernelCase:
    """A whole map (C, H, W) through a 3x3 convolution with int16 output by rnp_sums_row."""
    y = conv.run_i16(x)
    (channels, height, width), outputs = x.shape, round_up(len(y), 2)
    source = PlanarMap.of(x, 1, conv.zero_in, slack=6)
    packed = pack_sums(conv)
    rows = ", ".join(f"@weights + {number * packed[0].size}" for number in range(3))
    state, scratch = sums_sizes(channels, outputs, width)
    code = f"""
    const rnp_sums layer = {{{channels}, {outputs}, {width}, {height}, {{{rows}}}}};
    if (rnp_sums_state_size(&layer) != sizeof @state || rnp_sums_buffer_size(&layer) != sizeof @buffer) {{
        board_exit(3);
    }}
    for (int32_t y = -1; y <= {height}; y++) {{
        const int32_t outside = y < 0 || y == {height};
        const uint8_t *const row = outside ? @zeros + {LEFT} : @x + {LEFT} + y * {source.row};
        int16_t *const out = @out + (y < 1 ? 0 : y - 1) * {round_up(width) * outputs};
        rnp_sums_row(&layer, @state, y, row, outside ? 0 : {source.pitch}, out, @buffer);
    }}"""
    arrays: dict[str, NDArray] = {
        "x": source.memory,
        "zeros": np.full(LEFT + source.pitch + 6, conv.zero_in, np.uint8),
        "weights": packed,
        "state": np.full(state, 99, np.uint8).view(np.uint32),
        "buffer": np.zeros(scratch, np.uint8),
        "out": np.zeros((height, round_up(width), outputs), np.int16),
    }

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        return arrays["out"].reshape(height, -1, outputs)[:, :width, : len(y)].transpose(2, 0, 1)

    name = f"sums of 3x3, {height}x{width}x{channels} -> {len(y)}"
    return KernelCase(name, Case(code, arrays), read, y, y.size * conv.weights[0].size)


def add_case(add: IntAdd, zero_out: int, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> KernelCase:
    """A sum of rows (C, 1, W); b may be (C, 1, ceil(W / 2)), upsampled."""
    channels, _, width = a.shape
    upsample = b.shape != a.shape
    y = add.run(a, b.repeat(2, axis=2)[:, :, :width] if upsample else b)
    left, right = PlanarMap.of(a, 1, 0), PlanarMap.of(b, 1, 0)
    code = f"""
    const rnp_add layer = {{{add.factor_a}, {add.factor_b}, {add.bias}, {add.multiplier}, {channels}, {width},
                            {int(upsample)}, {zero_out}}};
    rnp_add_row(&layer, @a + {LEFT}, {left.pitch}, @b + {LEFT}, {right.pitch}, @out + {LEFT}, {left.pitch});"""
    arrays: dict[str, NDArray] = {"a": left.memory, "b": right.memory, "out": np.zeros_like(left.memory)}

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        return read_map(arrays["out"], channels, 1, width)

    name = f"add{' upsampled' if upsample else ''}, {width} pixels x {channels}"
    return KernelCase(name, Case(code, arrays), read, with_padding(y, zero_out), 2 * y.size)


def border_case(pad: IntPad, x: NDArray[np.uint8]) -> KernelCase:
    """A row (C, 1, W) with pixels added to its left and right."""
    y = pad.run(x)
    channels, _, width = x.shape
    left, right, _, _ = pad.sides
    source = PlanarMap.of(x, 1, pad.zero_point)
    pitch = row_pitch(y.shape[2])
    code = f"""
    const rnp_border layer = {{{channels}, {width}, {left}, {right}, {int(pad.replicate)}, {pitch}, {pad.zero_point}}};
    rnp_border_row(&layer, @x + {LEFT}, {source.pitch}, @out + {LEFT});"""
    arrays: dict[str, NDArray] = {"x": source.memory, "out": np.zeros(LEFT + channels * pitch, np.uint8)}

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        return read_map(arrays["out"], channels, 1, y.shape[2])

    return KernelCase(f"border {left} {right}", Case(code, arrays), read, with_padding(y, pad.zero_point), y.size)


def l2norm_case(norm: IntL2Norm, x: NDArray[np.uint8]) -> KernelCase:
    """A row (C, 1, W), each pixel normalised."""
    channels, _, width = x.shape
    source = PlanarMap.of(x, 1, norm.zero_in)
    code = f"""
    const rnp_l2norm layer = {{{norm.bias}, {norm.numerator}u, {norm.zero_in}, {norm.zero_out}, {channels}, {width},
                               {source.pitch}}};
    rnp_l2norm_row(&layer, @x + {LEFT}, {source.pitch}, @out + {LEFT});"""
    arrays: dict[str, NDArray] = {"x": source.memory, "out": np.zeros_like(source.memory)}

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        return read_map(arrays["out"], channels, 1, width)

    expected = with_padding(norm.run(x), norm.zero_out)
    return KernelCase(f"l2 norm of {channels} channels", Case(code, arrays), read, expected, 2 * x.size)


def mean_case(mean: IntMean, x: NDArray[np.uint8]) -> KernelCase:
    """Global average of (C, H, W)."""
    channels, height, width = x.shape
    source = PlanarMap.of(x, 1, 0)
    code = f"""
    const rnp_mean layer = {{{mean.bias}, {mean.multiplier}, {channels}, {width}}};
    rnp_mean_begin(&layer, @sums);
    for (int32_t y = 0; y < {height}; y++) {{
        rnp_mean_row(&layer, @x + {LEFT} + y * {source.row}, {source.pitch}, @sums);
    }}
    rnp_mean_finish(&layer, @sums, @out, 1);"""
    arrays: dict[str, NDArray] = {
        "x": source.memory,
        "sums": np.zeros(channels, np.int32),
        "out": np.zeros(channels, np.uint8),
    }

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        return arrays["out"][:, None, None]

    return KernelCase(f"mean {height}x{width}x{channels}", Case(code, arrays), read, mean.run(x), x.size)


def dense_case(conv: IntConv, x: NDArray[np.uint8], *, wide: bool = True) -> KernelCase:
    """A fully connected layer, (C,) uint8 -> int16, or uint8."""
    outputs, channels = round_up(len(conv.weights), 2), len(x)
    source = PlanarMap.of(x[:, None, None], 1, conv.zero_in)
    suffix, out = ("_i16", "@out") if wide else ("", f"@out + {LEFT}")
    code = f"""
    const rnp_conv layer = {{{{{channels}, 1, 1, 1, 0}}, @weights, {outputs}, 1, {row_pitch(1)}, {conv.zero_out}}};
    if (rnp_dense_buffer_size(&layer) != sizeof @buffer) {{ board_exit(3); }}
    rnp_dense_row{suffix}(&layer, @x + {LEFT}, {source.pitch}, {out}, @buffer);"""
    arrays: dict[str, NDArray] = {
        "x": source.memory,
        "weights": pack_pointwise(conv),
        "buffer": np.zeros(2 * round_up(channels), np.uint8),
        "out": np.zeros(outputs, np.int16) if wide else np.zeros(LEFT + outputs * row_pitch(1), np.uint8),
    }

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        if wide:
            return arrays["out"][: len(conv.weights)]
        return read_map(arrays["out"], outputs, 1, 1)[: len(conv.weights)]

    pixel = x[:, None, None]
    expected = conv.run_i16(pixel)[:, 0, 0] if wide else with_padding(conv.run(pixel), conv.zero_out)
    name = f"dense {channels} -> {len(conv.weights)}"
    return KernelCase(name, Case(code, arrays), read, expected, len(conv.weights) * channels)
