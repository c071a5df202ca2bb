"""RNNPool in integers, for a whole map at once: the specification of the streamed C kernel.

As in ``rnnpool.nn.RNNPool2d``, W x is computed once a pixel, a sweep once for all windows that share it, and W of a
summary once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnpool.integer.arithmetic import requantise, saturate_u8, to_multiplier
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.recurrent import STATE_ONE, IntCell, IntProjection
from rnnpool.integer.tensors import Quantisation

# A channel whose factor is smaller than this of an output unit over the state's whole range is constant.
_SMALLEST_RATIO = 2.0**-22


@dataclass(frozen=True)
class IntRNNPool:
    """The layer's integers. Output channels: rows forward, rows backward, columns forward, columns backward."""

    project_input: IntConv  # 1x1, int16: RNN1's projected input
    rnn1: IntCell
    project_summary: IntProjection  # RNN1's states to RNN2's projected input
    rnn2: IntCell
    bias: NDArray[np.int32]  # (4 * h2,): byte = saturate(requantise(state + bias, multiplier))
    multiplier: NDArray[np.int32]  # (4 * h2,)
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    zero_out: int
    narrow: bool = False  # what is kept between rows is kept in 8 bits: column states, projected row summaries

    def states(self, x: NDArray[np.uint8]) -> NDArray[np.int16]:
        """(C, H, W) uint8 -> (4 * h2, OH, OW) int16 Q15: the summaries before they become bytes."""
        (kh, kw), (sh, sw), (ph, pw) = self.kernel, self.stride, self.padding
        x = np.pad(x, ((0, 0), (ph, ph), (pw, pw)), constant_values=self.project_input.zero_in)
        p = self.project_input.run_i16(x).transpose(1, 2, 0)  # (H, W, h1)
        rows = self.project_summary.run(_sweep(self.rnn1, p, kw, sw))  # (H, OW, h2)
        if self.narrow:
            rows = narrow_projected(rows)
        columns = _sweep(self.rnn1, p.transpose(1, 0, 2), kh, sh, narrow=self.narrow)
        columns = self.project_summary.run(columns)  # (W, OH, h2)
        rows, columns = rows.transpose(1, 0, 2), columns.transpose(1, 0, 2)  # (OW, H, h2), (OH, W, h2)
        outputs = [_sweep(self.rnn2, rows, kh, sh, backward=b).transpose(1, 0, 2) for b in (False, True)]
        outputs += [_sweep(self.rnn2, columns, kw, sw, backward=b) for b in (False, True)]
        return np.concatenate(outputs, axis=2).transpose(2, 0, 1)

    def run(self, x: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(C, H, W) -> (4 * h2, OH, OW) uint8."""
        shifted = self.states(x).astype(np.int64) + self.bias[:, None, None]
        return saturate_u8(requantise(shifted, self.multiplier[:, None, None]))


def _sweep(
    cell: IntCell,
    lines: NDArray[np.int16],
    kernel: int,
    stride: int,
    *,
    backward: bool = False,
    narrow: bool = False,
) -> NDArray[np.int16]:
    """Sweep every window of every line: (n, length, h) -> (n, windows, h)."""
    windows = (lines.shape[1] - kernel) // stride + 1
    state = np.zeros((len(lines), windows, lines.shape[2]), np.int16)
    for t in reversed(range(kernel)) if backward else range(kernel):
        state = cell.advance(lines[:, t : t + stride * (windows - 1) + 1 : stride], state)
        if narrow:
            state = narrow_states(state)
    return state


def narrow_states(states: NDArray[np.int16]) -> NDArray[np.int16]:
    """States as 8 bits hold them: the upper byte, and half of its unit."""
    return ((states >> 8 << 8) + 128).astype(np.int16)


def narrow_projected(p: NDArray[np.int16]) -> NDArray[np.int16]:
    """Projected inputs as 8 bits hold them: half entries of the gates' tables."""
    return (np.clip((p.astype(np.int64) + 16) >> 5, 0, 255) << 5).astype(np.int16)


def output_scales(
    factor: NDArray[np.float64], offset: NDArray[np.float64], y: Quantisation
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(bias, multiplier) from Q15 states h to bytes of ``y`` for factor * h + offset (a batch norm, or 1 and 0)."""
    ratio = np.asarray(factor, float) / (STATE_ONE * y.scale)
    ratio = np.where(np.abs(ratio) < _SMALLEST_RATIO, _SMALLEST_RATIO, ratio)
    bias = np.rint((np.asarray(offset, float) / y.scale + y.zero_point) / ratio)
    return np.clip(bias, -(2**30), 2**30).astype(np.int32), to_multiplier(ratio)
