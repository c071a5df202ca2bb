"""Calls of the recurrent kernels on integer cells and layers; see ``kernel_cases``."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rnnpool.compile.kernel_cases import LEFT, KernelCase, PlanarMap, read_map, with_padding
from rnnpool.compile.pack import (
    cell_arrays,
    lanes,
    pack_projection_bias,
    pack_quads,
    rnnpool_arrays,
    rnnpool_multiply_adds,
    rnnpool_sizes,
    round_up,
    row_pitch,
    split_lanes,
)
from rnnpool.integer.recurrent import IntCell, IntProjection
from rnnpool.integer.rnnpool2d import IntRNNPool
from rnnpool.target.cases import Case


def cell_code(name: str, units: int) -> str:
    """C that fills rnp_fastgrnn ``name`` from the arrays ``{name}_hidden`` and ``{name}_gates``."""
    return f"const rnp_fastgrnn {name} = {{{round_up(units)}, @{name}_hidden, @{name}_gates}};"


def step_case(cell: IntCell, p: NDArray[np.int16], state: NDArray[np.int16] | None) -> KernelCase:
    """One FastGRNN step of two sequences: p (2, h), state (2, h) or None for the first step."""
    units = len(cell.gates)
    padded = np.zeros((2, round_up(units)), np.int16)
    padded[:, :units] = p
    before = np.zeros((2, units), np.int16) if state is None else state
    if state is None:
        call = f"rnp_fastgrnn_first(&cell, @p, @p + {round_up(units)}, @next);"
    else:
        call = f"rnp_fastgrnn_step(&cell, @p, @p + {round_up(units)}, @state, @next);"
    arrays: dict[str, NDArray] = {
        **cell_arrays("cell", cell),
        "p": padded,
        "state": lanes(before[0], before[1]),
        "next": np.zeros(2 * round_up(units), np.int16),
    }

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        return np.stack(split_lanes(arrays["next"], units))

    name = f"FastGRNN step, h {units}{', first' if state is None else ''}"
    return KernelCase(
        name, Case(cell_code("cell", units) + call, arrays), read, cell.advance(p, before), 2 * units * units
    )


def projection_case(projection: IntProjection, state: NDArray[np.int16]) -> KernelCase:
    """W of two states (2, h)."""
    units_out, units_in = projection.weights.shape
    code = f"""
    const rnp_projection layer = {{{round_up(units_in)}, {round_up(units_out)}, @weights, @bias}};
    rnp_project_states(&layer, @state, @p, @p + {round_up(units_out)});"""
    arrays: dict[str, NDArray] = {
        "weights": pack_quads(projection.weights),
        "bias": pack_projection_bias(projection),
        "state": lanes(state[0], state[1]),
        "p": np.zeros((2, round_up(units_out)), np.int16),
    }

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        return arrays["p"][:, :units_out]

    name = f"projection {units_in} -> {units_out}"
    return KernelCase(name, Case(code, arrays), read, projection.run(state), 2 * units_out * units_in)


def rnnpool_case(pool: IntRNNPool, x: NDArray[np.uint8]) -> KernelCase:
    """A whole map through rnp_rnnpool_push."""
    y = pool.run(x)
    (outputs, height_out, width_out), (channels, height, width) = y.shape, x.shape
    (kh, kw), (sh, sw), (ph, pw) = pool.kernel, pool.stride, pool.padding
    h1, h2 = len(pool.rnn1.gates), len(pool.rnn2.gates)
    u1, u2 = round_up(h1), round_up(h2)
    source = PlanarMap.of(x, max(pw, 1), pool.project_input.zero_in, slack=4)
    state, open_windows, scratch = rnnpool_sizes(pool, width)
    code = f"""
    {cell_code("rnn1", h1)} {cell_code("rnn2", h2)}
    const rnp_rnnpool layer = {{{channels}, {width_out}, {height_out}, {kh}, {kw}, {sh}, {sw}, {pw},
        {int(pool.narrow)}, @input, rnn1,
        {{{u1}, {u2}, @project, @project_bias}}, rnn2, {h2}, @scales, {row_pitch(width_out)}, {pool.zero_out}}};
    if (rnp_rnnpool_state_size(&layer) != sizeof @state || rnp_rnnpool_open_size(&layer) != sizeof @open ||
        rnp_rnnpool_buffer_size(&layer) != sizeof @buffer) {{
        board_exit(3);
    }}
    uint8_t *out = @out + {LEFT};
    rnp_rnnpool_begin(&layer, @state);
    for (int32_t y = -{ph}; y < {height + ph}; y++) {{
        const int32_t inside = y >= 0 && y < {height};
        const uint8_t *const row = inside ? @x + {LEFT} + y * {source.row} : @zeros + {LEFT};
        rnp_rnnpool_push(&layer, @state, @open, row, inside ? {source.pitch} : 0, @buffer);
        if (rnp_rnnpool_ready(&layer, @state)) {{
            rnp_rnnpool_give(&layer, @state, @open, out, @buffer);
            out += {outputs * row_pitch(width_out)};
            for (size_t i = 0; i < sizeof @open; i++) {{ @open[i] = 99; }} /* by now the memory may be others' */
        }}
    }}"""
    arrays: dict[str, NDArray] = {
        **rnnpool_arrays(pool),
        "x": source.memory,
        "zeros": np.full(LEFT + source.pitch + 4, pool.project_input.zero_in, np.uint8),
        "state": np.zeros(state, np.uint8),
        "open": np.zeros(open_windows, np.uint8),
        "buffer": np.zeros(scratch, np.uint8),
        "out": np.zeros(LEFT + height_out * outputs * row_pitch(width_out), np.uint8),
    }

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        return read_map(arrays["out"], outputs, height_out, width_out)

    name = f"RNNPool {kh}x{kw} s{sh}x{sw}, {height}x{width}x{channels}, h {h1} {h2}{', narrow' * pool.narrow}"
    macs = rnnpool_multiply_adds(pool, height_out, width_out)
    return KernelCase(name, Case(code, arrays), read, with_padding(y, pool.zero_out), macs)
