"""Parameters in the order the C kernels read them (the formats stand in runtime/*.h)."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rnnpool.errors import InputError
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.recurrent import IntCell, IntProjection
from rnnpool.integer.rnnpool2d import IntRNNPool

EXPAND_GROUP = 32  # wide channels that rnp_expand computes at a time; each time it widens its input anew


def round_up(value: int, multiple: int = 4) -> int:
    return -(-value // multiple) * multiple


def row_pitch(width: int, padding: int = 1) -> int:
    """Bytes from one channel of a row to the next, the padding behind it shared with the one that follows.

    Kernels write four pixels at a time, so room for those has to be there, too.
    """
    return max(round_up(width), width + padding)


def pack_pointwise(conv: IntConv, multiple: int = 2) -> NDArray[np.uint32]:
    """rnp_pointwise.h: (O / 2, K / 2 + 4) words, O rounded up to ``multiple`` (even), K = ceil4(I * kh * kw)."""
    weights = _padded_weights(conv, multiple)
    return _with_scales(conv, _word_pairs(256 * weights[0::2] + weights[1::2]))


def pack_nibbles(conv: IntConv) -> NDArray[np.uint32]:
    """rnp_pointwise.h, weights of 4 bits: (O / 2, K / 4 + 4) words, O rounded up to a multiple of 2, K to one of 4.

    Raises:
        ValueError: weights that 4 bits do not hold.
    """
    if not conv.nibbles:
        raise ValueError(f"weights reach {np.abs(conv.weights).max()}; 4 bits hold -7..7")
    weights = _padded_weights(conv, 2)
    words = _word_pairs(256 * weights[0::2] + weights[1::2]) + 0x07070707 & 0xFFFFFFFF  # of bytes 0..15
    return _with_scales(conv, words[:, 0::2] | words[:, 1::2] << 4)


def _padded_weights(conv: IntConv, multiple: int) -> NDArray[np.int64]:
    """(ceil(O), ceil4(I * kh * kw))."""
    flat = conv.weights.reshape(len(conv.weights), -1)
    weights = np.zeros((round_up(len(flat), multiple), round_up(flat.shape[1])), np.int64)
    weights[: len(flat), : flat.shape[1]] = flat
    return weights


def _word_pairs(halves: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, K) halfwords -> (n, K / 2) words."""
    halves = halves & 0xFFFF
    return halves[:, 0::2] | halves[:, 1::2] << 16


def _with_scales(conv: IntConv, words: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Biases before the words (pairs of outputs, n) of a pair's weights, multipliers behind them."""
    bias, multiplier = np.zeros((2, 2 * len(words)), np.int64)
    bias[: len(conv.bias)], multiplier[: len(conv.bias)] = conv.bias, conv.multiplier
    a, b = bias[0::2, None], bias[1::2, None]
    packed = np.concatenate([256 * a + b, b, words, multiplier[0::2, None], multiplier[1::2, None]], axis=1)
    return (packed & 0xFFFFFFFF).astype(np.uint32)


def pack_sums(conv: IntConv) -> NDArray[np.uint32]:
    """rnp_sums.h: the words of the kernel's rows, one after the other; each as ``pack_pointwise`` packs it."""
    rows = range(conv.weights.shape[2])
    return np.stack([pack_pointwise(replace(conv, weights=conv.weights[:, :, y : y + 1])) for y in rows])


def pack_depthwise(conv: IntConv) -> NDArray[np.uint32]:
    """rnp_depthwise.h: (C, 4) words.

    Raises:
        InputError: multipliers that are no multiples of 256, as those of other versions are.
    """
    if (conv.multiplier % 256).any():
        raise InputError("a depthwise multiplier is no multiple of 256; quantize the network again")
    bytes_ = conv.weights[:, 0].astype(np.int64) & 0xFF  # (C, 3, 3)
    rows = bytes_[..., 0] | bytes_[..., 1] << 8 | bytes_[..., 2] << 16  # (C, 3)
    shifts = np.array([0, 8, 16])  # from a byte of the multiplier to the highest of its word
    rows |= conv.multiplier.astype(np.int64)[:, None] << shifts & 0xFF000000
    packed = np.concatenate([rows, conv.bias.astype(np.int64)[:, None]], axis=1)
    return (packed & 0xFFFFFFFF).astype(np.uint32)


def pack_quads(weights: NDArray[np.int16]) -> NDArray[np.int16]:
    """(h_out, h_in), both rounded up to multiples of 4 -> [h_out / 2][h_in / 4][2][4]."""
    padded = np.zeros((round_up(weights.shape[0]), round_up(weights.shape[1])), np.int16)
    padded[: weights.shape[0], : weights.shape[1]] = weights
    out, inputs = padded.shape
    return padded.reshape(out // 2, 2, inputs // 4, 4).transpose(0, 2, 1, 3).copy()


def pack_gates(cell: IntCell) -> NDArray[np.uint32]:
    """(units rounded up to a multiple of 4, entries)."""
    padded = np.zeros((round_up(len(cell.gates)), cell.gates.shape[1]), np.uint32)
    padded[: len(cell.gates)] = cell.gates
    return padded


def pack_projection_bias(projection: IntProjection) -> NDArray[np.int32]:
    """(h_out rounded up to a multiple of 4,)."""
    padded = np.zeros(round_up(len(projection.bias)), np.int32)
    padded[: len(projection.bias)] = projection.bias
    return padded


def lanes(first: NDArray[np.int16], second: NDArray[np.int16]) -> NDArray[np.int16]:
    """Two states (h,) -> [ceil4(h) / 4][2][4]."""
    padded = np.zeros((2, round_up(len(first))), np.int16)
    padded[0, : len(first)], padded[1, : len(second)] = first, second
    return padded.reshape(2, -1, 4).transpose(1, 0, 2).copy()


def split_lanes(packed: NDArray[np.int16], units: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """The inverse of ``lanes``."""
    pair = packed.reshape(-1, 2, 4).transpose(1, 0, 2).reshape(2, -1)
    return pair[0, :units], pair[1, :units]


def cell_arrays(name: str, cell: IntCell) -> dict[str, NDArray]:
    """The parameters of rnp_fastgrnn."""
    return {f"{name}_hidden": pack_quads(cell.hidden), f"{name}_gates": pack_gates(cell)}


def rnnpool_arrays(pool: IntRNNPool) -> dict[str, NDArray]:
    """The parameters of rnp_rnnpool."""
    return {
        "input": pack_pointwise(pool.project_input, multiple=4),
        **cell_arrays("rnn1", pool.rnn1),
        **cell_arrays("rnn2", pool.rnn2),
        "project": pack_quads(pool.project_summary.weights),
        "project_bias": pack_projection_bias(pool.project_summary),
        "scales": np.stack([pool.bias, pool.multiplier], axis=1),
    }


def rnnpool_sizes(pool: IntRNNPool, width: int) -> tuple[int, int, int]:
    """Bytes of state, of the state of open windows, and of scratch memory, as rnp_rnnpool.h's functions give them."""
    (kh, kw), (sh, sw), (_, pw) = pool.kernel, pool.stride, pool.padding
    u1, u2 = round_up(len(pool.rnn1.gates)), round_up(len(pool.rnn2.gates))
    windows = (width + 2 * pw - kw) // sw + 1
    pairs = round_up((windows - 1) * sw + kw) // 2
    entries = pairs if pool.narrow else pairs + 1
    number = 1 if pool.narrow else 2
    summaries, states = number * windows * u2, number * entries * 2 * u1
    kept = 8 + (kh - sh) * summaries + (-(-kh // sh) - 1) * states
    channels = round_up(pool.project_input.weights.shape[1])
    columns = max((kw + sw + 3) * u1, round_up(kw + 1, 2) * u2)
    scratch = 2 * (channels * 4 + 4 * max(u1, u2) + max(kh, 2) * u2 + columns)
    return kept, sh * summaries + states, scratch


def expand_sizes(channels: int, wide: int, width: int, stride: int, group: int = EXPAND_GROUP) -> tuple[int, int]:
    """Bytes of state and of scratch memory, as rnp_expand_state_size and _buffer_size give them.

    Args:
        channels: of the input; ``wide`` of the expanded tensor.
        width: pixels of the input; ``stride`` bytes from channel to channel of an expanded row.
        group: wide channels that are computed at a time.
    """
    lead = round_up(stride - width)
    state, wide_group = (round_up(lead + count * stride) for count in (round_up(wide, 2), group))
    return state, 8 * round_up(channels) + 2 * wide_group


def sums_sizes(channels: int, outputs: int, width: int) -> tuple[int, int]:
    """Bytes of state and of scratch memory, as rnp_sums_state_size and _buffer_size give them."""
    return 2 * 4 * round_up(width) * round_up(outputs, 2), 8 * round_up(3 * channels)


def rnnpool_multiply_adds(pool: IntRNNPool, height_out: int, width_out: int) -> int:
    """Multiply-adds of a map when what windows share is computed once; a first step, from zeros, needs no U."""
    (kh, kw), (sh, sw) = pool.kernel, pool.stride
    h1, h2, d = len(pool.rnn1.gates), len(pool.rnn2.gates), pool.project_input.weights.shape[1]
    rows, columns = (height_out - 1) * sh + kh, (width_out - 1) * sw + kw
    row_sweeps, column_sweeps = rows * width_out, columns * height_out
    first = rows * columns * d * h1 + (row_sweeps * (kw - 1) + column_sweeps * (kh - 1)) * h1 * h1
    second = (row_sweeps + column_sweeps) * h1 * h2 + height_out * width_out * 2 * (kh + kw - 2) * h2 * h2
    return first + second
