"""FastGRNN in integers: tables for its gates, int16 states, and the projection of one cell's states for another.

The state is Q15, within -32767..32767, since it is a convex mix of the old one and a tanh. z and the candidate's share
c = (zeta (1 - z) + nu) tanh come from one table a unit, indexed by the pre-activation, so nothing else of the gates is
computed. Every unit has its own scale: ``step`` is the width of its table's entries; accumulators count 2^-20 of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnpool.errors import InputError

STATE_ONE = 32767
ENTRIES = 128
PROJECTED_SHIFT = 14  # p * 2^14 ...
INDEX_SHIFT = 20  # ... and sums >> 20: p counts 1/64 of a table's step
PROJECTED_UNITS = 1 << (INDEX_SHIFT - PROJECTED_SHIFT)

# Beyond these a gate has arrived: sigmoid(5.5) = 0.996, tanh(3.3) = 0.997.
_GATE_REACH, _CANDIDATE_REACH = 5.5, 3.3


@dataclass(frozen=True)
class IntCell:
    """The recurrence of a FastGRNN cell with h units."""

    hidden: NDArray[np.int16]  # (h, h): U, 2^-20 * 2^15 of a step each
    gates: NDArray[np.uint32]  # (h, ENTRIES): c * 2^15 + z, both Q15
    first: NDArray[np.float64]  # (h,) the pre-activation where the table begins
    step: NDArray[np.float64]  # (h,) the width of an entry

    def advance(self, projected: NDArray[np.int16], state: NDArray[np.int16]) -> NDArray[np.int16]:
        """p (..., h), state (..., h) -> the next state (..., h)."""
        sums = (projected.astype(np.int64) << PROJECTED_SHIFT) + state.astype(np.int64) @ self.hidden.astype(np.int64).T
        index = np.clip(sums >> INDEX_SHIFT, 0, ENTRIES - 1)
        entry = self.gates[np.arange(len(self.gates)), index].astype(np.int64)
        entry = np.where(entry >= 1 << 31, entry - (1 << 32), entry)
        z = entry & 0xFFFF
        return ((z * state.astype(np.int64) + entry) >> 15).astype(np.int16)


@dataclass(frozen=True)
class IntProjection:
    """W h of int16 states for the cell that reads them: p = (bias + W h) >> 16."""

    weights: NDArray[np.int16]  # (h_out, h_in)
    bias: NDArray[np.int32]  # (h_out,)

    def run(self, state: NDArray[np.int16]) -> NDArray[np.int16]:
        """(..., h_in) -> (..., h_out)."""
        sums = state.astype(np.int64) @ self.weights.astype(np.int64).T + self.bias
        return (sums >> 16).astype(np.int16)


def quantise_cell(
    hidden: NDArray,
    bias_gate: NDArray,
    bias_candidate: NDArray,
    *,
    zeta: float = 1.0,
    nu: float = 0.0,
    gates: str = "smooth",
    seen: tuple[NDArray, NDArray] | None = None,
    least_step: NDArray[np.float64] | float = 0.0,
) -> IntCell:
    """Integers of a FastGRNN's recurrence.

    Args:
        hidden: U (h, h) real.
        bias_gate, bias_candidate: (h,) real.
        gates: "smooth" or "piecewise".
        seen: the least and the greatest pre-activation (h,), without biases, of calibration; tables then end there
            or where both gates have arrived, whichever is nearer.
        least_step: entries at least this wide (scalar or one a unit), for projected inputs of coarse units.

    Raises:
        InputError: U is too large for its tables, so that a sum may overflow.
    """
    first, last = _table_range(np.asarray(bias_gate, float), np.asarray(bias_candidate, float), gates, seen)
    unit = 2.0 ** (INDEX_SHIFT - 15)  # of a stored number of U: 1 / step
    # U has to fit int16, and 1e-3 keeps units that never move from dividing by zero.
    step = np.maximum((last - first) / ENTRIES, np.maximum(np.abs(hidden).max(axis=1) * unit / STATE_ONE, 1e-3))
    step = np.maximum(step, least_step)
    stored = np.rint(np.asarray(hidden, float) * (unit / step)[:, None])
    _check_sum("U", stored, 1 << (15 + PROJECTED_SHIFT))
    table = gate_table(first, step, bias_gate, bias_candidate, zeta=zeta, nu=nu, gates=gates)
    return IntCell(stored.astype(np.int16), table, first, step)


def quantise_projection(weights: NDArray, reader: IntCell) -> IntProjection:
    """Integers of W (h_out, h_in) real, from Q15 states to the projected input of ``reader``."""
    # (bias + W h) >> 16 counts 1/64 of a step when W counts step * 2^15 / 2^16 / 64.
    stored = np.rint(np.asarray(weights, float) * (2 * PROJECTED_UNITS / reader.step)[:, None])
    bias = np.rint(-reader.first / reader.step * PROJECTED_UNITS * 2**16) + 2**15
    if not (np.abs(stored) <= STATE_ONE).all():
        raise InputError(f"W reaches {np.abs(stored).max():.0f}; the limit is {STATE_ONE}")
    _check_sum("W", stored, np.abs(bias))
    return IntProjection(stored.astype(np.int16), bias.astype(np.int32))


def gate_table(
    first: NDArray[np.float64],
    step: NDArray[np.float64],
    bias_gate: NDArray,
    bias_candidate: NDArray,
    *,
    zeta: float,
    nu: float,
    gates: str,
) -> NDArray[np.uint32]:
    """(h, ENTRIES): c * 2^15 + z at the middle of each step; z + |c| <= 32767 keeps states in range; c is even."""
    pre = first[:, None] + step[:, None] * (np.arange(ENTRIES) + 0.5)
    z_in, c_in = pre + np.asarray(bias_gate, float)[:, None], pre + np.asarray(bias_candidate, float)[:, None]
    if gates == "piecewise":
        z, tanh = np.clip((z_in + 1) / 2, 0, 1), np.clip(c_in, -1, 1)
    else:
        z, tanh = 1 / (1 + np.exp(-z_in)), np.tanh(c_in)
    z_stored = np.rint(z * STATE_ONE).astype(np.int64)
    halves = np.rint((zeta * (1 - z) + nu) * tanh * STATE_ONE / 2).astype(np.int64)
    room = (STATE_ONE - z_stored) // 2
    return ((np.clip(halves, -room, room) << 16 | z_stored) & 0xFFFFFFFF).astype(np.uint32)


def _table_range(
    bias_gate: NDArray, bias_candidate: NDArray, gates: str, seen: tuple[NDArray, NDArray] | None
) -> tuple[NDArray, NDArray]:
    gate_reach, candidate_reach = (1.0, 1.0) if gates == "piecewise" else (_GATE_REACH, _CANDIDATE_REACH)
    first = np.minimum(-bias_gate - gate_reach, -bias_candidate - candidate_reach)
    last = np.maximum(-bias_gate + gate_reach, -bias_candidate + candidate_reach)
    if seen is None:
        return first, last
    return np.clip(seen[0], first, last), np.clip(seen[1], first, last)


def _check_sum(name: str, stored: NDArray, others: NDArray | int) -> None:
    reach = int((np.abs(stored).sum(axis=1) * STATE_ONE + others).max())
    if reach >= 1 << 31:
        raise InputError(f"{name} h may reach {reach}; the limit is 2^31 (a row of {name} is too large)")
