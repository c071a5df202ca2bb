"""RNNPool with FastGRNN cells, and the batch norm behind it."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from rnnpool.integer.convolution import quantise_to_i16
from rnnpool.integer.layers.base import FINEST, IntOp, Layer, Range, straight_through
from rnnpool.integer.layers.convolution import as_array
from rnnpool.integer.layers.rnnpool_imitation import imitate_rnnpool
from rnnpool.integer.recurrent import (
    INDEX_SHIFT,
    PROJECTED_SHIFT,
    PROJECTED_UNITS,
    STATE_ONE,
    IntCell,
    quantise_cell,
    quantise_projection,
)
from rnnpool.integer.rnnpool2d import IntRNNPool, output_scales
from rnnpool.integer.tensors import ChannelScales, Quantisation
from rnnpool.nn import RNNPool2d
from rnnpool.nn.cells import FastGRNNCell, State
from rnnpool.nn.projection import linear
from rnnpool.nn.sweep import step_input

_ROUNDING = 1.01  # room for stored numbers that are rounded up


@dataclass(eq=False, kw_only=True)
class RNNPooling(Layer):
    """factor * RNNPool(x) + offset, one of each a channel, without the layer's output padding."""

    kind: ClassVar[str] = "rnnpool"
    module: RNNPool2d
    factor: Tensor  # (4 * hidden2,)
    offset: Tensor
    narrow: bool = False  # 8 bits for what is kept between rows (rnnpool2d.IntRNNPool)
    seen: list[Range | None] = field(default_factory=lambda: [None, None])  # pre-activations of RNN1 and RNN2
    states: Range | None = None  # RNNPool's results, one a channel

    def real(self, *inputs: Tensor) -> Tensor:
        y = self.module(inputs[0])
        if self.module.output_padding != "none":
            y = y[..., :-1, :-1]
        return y * self.factor[:, None, None].to(y) + self.offset[:, None, None].to(y)

    def imitate(
        self, op: IntOp, inputs: Sequence[Quantisation], output: Quantisation | ChannelScales, *values: Tensor
    ) -> Tensor:
        assert isinstance(op, IntRNNPool)
        assert isinstance(output, Quantisation)
        (x,) = values
        value = imitate_rnnpool(op, inputs[0], output, x)
        return straight_through(value, self.real(x)) if torch.is_grad_enabled() else value

    @torch.no_grad()
    def observe(self, *inputs: Tensor) -> None:
        """Widen ``seen`` by the pre-activations W x + U h of every step of these images, ``states`` by the results."""
        for which, pre in _pre_activations(self.module, inputs[0]):
            self.seen[which] = _widened(self.seen[which], pre)
        self.states = _widened(self.states, self.module(inputs[0]))

    def observations(self) -> dict[str, Range]:
        named = {"rnn1": self.seen[0], "rnn2": self.seen[1], "states": self.states}
        return {name: seen for name, seen in named.items() if seen is not None}

    def recall(self, observations: Mapping[str, Range]) -> None:
        self.seen = [observations.get("rnn1"), observations.get("rnn2")]
        self.states = observations.get("states")

    def quantise(self, inputs: Sequence[Quantisation], output: Quantisation) -> IntRNNPool:
        module = self.module
        weights1, weights2 = as_array(module.rnn1.weight_input), as_array(module.rnn2.weight_input)
        # p counts 1 / PROJECTED_UNITS of a table's step from where the table begins; no finer than its accumulator.
        finest = FINEST * inputs[0].scale * np.abs(weights1).max(axis=1) / 127
        rnn1 = _cell(module.rnn1, self.seen[0], finest * PROJECTED_UNITS)
        weights1 = weights1[:, :, None, None]
        project = quantise_to_i16(weights1, -rnn1.first, inputs[0], rnn1.step / PROJECTED_UNITS)
        rnn2 = _cell(module.rnn2, self.seen[1])
        rnn2 = _cell(module.rnn2, self.seen[1], _projectable_step(weights2, rnn2.first))
        summary = quantise_projection(weights2, rnn2)
        bias, multiplier = output_scales(*self._bounded(output.scale), output)
        kernel, stride, padding = module.kernel_size, module.stride, module.padding
        return IntRNNPool(
            project, rnn1, summary, rnn2, bias, multiplier, kernel, stride, padding, output.zero_point, self.narrow
        )

    def _bounded(self, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """factor and offset. A unit of a state counts at most half a unit of the result: a batch norm that raises a
        channel more has one that hardly moves; it is raised less, about the middle of what was seen."""
        factor, offset = as_array(self.factor), as_array(self.offset)
        most = STATE_ONE * scale / FINEST
        bounded = np.clip(factor, -most, most)
        middle = np.zeros_like(factor) if self.states is None else (self.states[0] + self.states[1]) / 2
        return bounded, offset + (factor - bounded) * middle


def _widened(before: Range | None, values: Tensor) -> Range:
    """The range of values (B, h, ...) and of those before."""
    low, high = (as_array(edge) for edge in torch.aminmax(values.transpose(0, 1).flatten(1), dim=1))
    return (low, high) if before is None else (np.minimum(low, before[0]), np.maximum(high, before[1]))


def _projectable_step(weights: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least steps (h,) at which 32 bits hold W h, and 16 bits each weight (recurrent.IntProjection)."""
    unit = 2 * PROJECTED_UNITS  # of a stored weight: 1 / step
    whole = (np.abs(weights).sum(axis=1) + np.abs(first)) * unit / 2**16
    each = np.abs(weights).max(axis=1) * unit / STATE_ONE
    return np.maximum(whole, each) * _ROUNDING


def _recurrent_step(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least steps (h,) at which 32 bits hold p + U h (recurrent.IntCell)."""
    whole = (2**31 - 2 ** (15 + PROJECTED_SHIFT)) / STATE_ONE
    return np.abs(weights).sum(axis=1) * 2.0 ** (INDEX_SHIFT - 15) / whole * _ROUNDING


def _cell(cell: torch.nn.Module, seen: Range | None, least_step: NDArray[np.float64] | float = 0.0) -> IntCell:
    assert isinstance(cell, FastGRNNCell)
    with torch.no_grad():
        zeta, nu = (float(value) for value in cell.mix())
    biases = (as_array(cell.bias_gate), as_array(cell.bias_candidate))
    hidden = as_array(cell.weight_hidden)
    return quantise_cell(
        hidden,
        *biases,
        zeta=zeta,
        nu=nu,
        gates=cell.gates,
        seen=seen,
        least_step=np.maximum(least_step, _recurrent_step(hidden)),
    )


def _pre_activations(module: RNNPool2d, x: Tensor) -> Iterator[tuple[int, Tensor]]:
    """(0 for RNN1 or 1 for RNN2, W x + U h (B, h, windows, lines)) of every step of every sweep."""
    (kh, kw), (sh, sw), (ph, pw) = module.kernel_size, module.stride, module.padding
    p = module.rnn1(F.pad(x, (pw, pw, ph, ph)))  # (B, h1, H, W)
    for lines, (k1, s1), (k2, s2) in (
        (p.transpose(2, 3), (kw, sw), (kh, sh)),  # rows, along W
        (p, (kh, sh), (kw, sw)),  # columns, along H
    ):
        state = yield from _sweep(0, module.rnn1, lines, k1, s1, backward=False)
        summaries = module.rnn2(state).transpose(2, 3)
        for backward in (False, True):
            yield from _sweep(1, module.rnn2, summaries, k2, s2, backward=backward)


def _sweep(
    which: int, cell: torch.nn.Module, lines: Tensor, kernel: int, stride: int, *, backward: bool
) -> Generator[tuple[int, Tensor], None, Tensor]:
    """Sweep every window along dimension 2 of (B, h, length, lines); returns the states (B, h, windows, lines)."""
    assert isinstance(cell, FastGRNNCell)
    state: State | None = None
    for t in reversed(range(kernel)) if backward else range(kernel):
        step = step_input(lines, t, kernel, stride)
        yield which, step if state is None else step + linear(cell.weight_hidden, state[0])
        state = cell.step(step, state)
    assert state is not None
    return state[0]
