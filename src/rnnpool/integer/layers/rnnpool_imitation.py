"""RNNPool by the constants of ``rnnpool2d.IntRNNPool``, on batches in floating point: what training with rounding runs.

Every rounding is there. Numbers are the integers' own, in float32: states count 1 / STATE_ONE, projected inputs are
kept in entries of the gates' tables. Products of more than 24 bits lose their last ones, so that a state may rarely be
one off, and the result differ where that leads to another entry.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from rnnpool.integer.arithmetic import FRACTION
from rnnpool.integer.recurrent import ENTRIES, INDEX_SHIFT, PROJECTED_UNITS, IntCell, IntProjection
from rnnpool.integer.rnnpool2d import IntRNNPool
from rnnpool.integer.tensors import Quantisation
from rnnpool.nn.projection import linear
from rnnpool.nn.sweep import step_input


@torch.no_grad()
def imitate_rnnpool(op: IntRNNPool, x: Quantisation, y: Quantisation, pixels: Tensor) -> Tensor:
    """(B, C, H, W) of multiples of ``x.scale`` -> (B, 4 * h2, OH, OW) of what ``y`` stores, not yet rounded to it."""
    (kh, kw), (sh, sw), (ph, pw) = op.kernel, op.stride, op.padding
    weight, bias = op.project_input.real_constants(x, 1.0)
    p = F.conv2d(F.pad(pixels, (pw, pw, ph, ph)), _like(pixels, weight), _like(pixels, bias))
    p = (p + 0.5).floor_().clamp_(-32768, 32767) / PROJECTED_UNITS  # (B, h1, H, W)
    first, second = _Sweep(op.rnn1, p), _Sweep(op.rnn2, p)
    rows = _project(op.project_summary, first.run(p.transpose(2, 3), kw, sw))  # (B, h2, OW, H)
    if op.narrow:
        rows = (rows * 2 + 0.5).floor_().clamp_(0, 255) / 2
    columns = _project(op.project_summary, first.run(p, kh, sh, narrow=op.narrow))  # (B, h2, OH, W)
    rows, columns = rows.transpose(2, 3), columns.transpose(2, 3)
    outputs = [second.run(rows, kh, sh, backward=backward) for backward in (False, True)]  # (B, h2, OH, OW)
    outputs += [second.run(columns, kw, sw, backward=backward).transpose(2, 3) for backward in (False, True)]
    factor = op.multiplier * (2.0**-FRACTION * y.scale)  # (4 * h2,) of a state's count
    states = torch.cat(outputs, dim=1)
    return states * _like(p, factor)[:, None, None] + _like(p, op.bias * factor - y.zero_point * y.scale)[:, None, None]


class _Sweep:
    """One cell, its constants as tensors like ``like``."""

    def __init__(self, op: IntCell, like: Tensor) -> None:
        entries = op.gates.astype(np.int64)
        entries = np.where(entries >= 1 << 31, entries - (1 << 32), entries)
        self.z, self.c = _like(like, entries & 0xFFFF) / 32768, _like(like, entries >> 16) * 2  # (h, ENTRIES) each
        self.hidden = _like(like, op.hidden) * 2.0**-INDEX_SHIFT  # (h, h)
        self.starts = ENTRIES * torch.arange(len(op.gates), device=like.device)[:, None, None]  # of a unit's table

    def run(self, p: Tensor, kernel: int, stride: int, *, backward: bool = False, narrow: bool = False) -> Tensor:
        """Projected inputs (B, h, L, I) -> the last states (B, h, n, I) of every window along L."""
        state: Tensor | None = None
        for position in reversed(range(kernel)) if backward else range(kernel):
            state = self._advance(step_input(p, position, kernel, stride), state)
            if narrow:
                state = (state / 256).floor_() * 256 + 128
        assert state is not None
        return state

    def _advance(self, p: Tensor, state: Tensor | None) -> Tensor:
        sums = p if state is None else linear(self.hidden, state) + p
        index = sums.floor().clamp_(0, ENTRIES - 1).long() + self.starts
        c = self.c.take(index)
        return c if state is None else (self.z.take(index) * (state + 1)).floor_() + c


def _project(op: IntProjection, states: Tensor) -> Tensor:
    """States (B, h_in, n, I) of one cell -> projected inputs (B, h_out, n, I) of the other, in its entries."""
    sums = linear(_like(states, op.weights) * 2.0**-16, states) + _like(states, op.bias * 2.0**-16)[:, None, None]
    return sums.floor_() / PROJECTED_UNITS


def _like(tensor: Tensor, array: NDArray) -> Tensor:
    """The array in the dtype and on the device of ``tensor``."""
    return torch.from_numpy(np.ascontiguousarray(array, np.float64)).to(tensor)
