"""Places in one arena for pieces of memory that are in use at different times.

Pieces that are never in use at the same moment may lie over one another: rows that live for a moment share whatever is
free then, and the rows of a map that is being written replace those of one that is being read.

The search for low offsets is a heuristic (``packing``). No arena is smaller than what is in use at one moment: where
the heuristic reaches that, its arena is proved smallest and no solver is started. Elsewhere OR-tools' CP-SAT goes on
from there, if it is installed, and proves its result or says how far from the best it may be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnpool.cost.packing import Ints, pack

Span = tuple[int, int]  # first and last moment, both in use

EFFORT = 1.0  # deterministic time of CP-SAT: a few seconds of an idle core
MOST_PIECES = 250  # with more of them CP-SAT finds nothing in that time
MOST_MOMENTS = 400  # with more different sets of pieces in use neither


@dataclass(frozen=True)
class Placement:
    """Where the pieces lie, in an arena of ``bytes``; no arena has fewer than ``least``, as ``how`` says."""

    offsets: tuple[int, ...]
    bytes: int
    least: int
    how: str

    @property
    def proved(self) -> bool:
        """Whether no arena is smaller."""
        return self.bytes <= self.least

    @property
    def quality(self) -> str:
        """In words."""
        if self.proved:
            return f"proved smallest: {self.how}"
        return f"at most {self.bytes / self.least - 1:.1%} above the smallest: {self.how}"


def usage(sizes: Sequence[int], spans: Sequence[Sequence[Span]]) -> list[int]:
    """Bytes in use at each moment; spans of one piece may overlap."""
    end = max((last for own in spans for _, last in own), default=-1) + 1
    change = [0] * (end + 1)
    for size, own in zip(sizes, spans, strict=True):
        for first, last in _merged(own):
            change[first] += size
            change[last + 1] -= size
    used, now = [], 0
    for step in change[:-1]:
        now += step
        used.append(now)
    return used


def place(
    sizes: Sequence[int],
    spans: Sequence[Sequence[Span]],
    *,
    align: int = 1,
    solver: bool = True,
    effort: float = EFFORT,
) -> Placement:
    """Offsets for pieces, as low as the search finds.

    Args:
        sizes: in bytes.
        spans: when each piece is in use; two that share a moment do not overlap.
        align: offsets are multiples of this many bytes.
        solver: go on with CP-SAT, if it is installed, where the heuristic does not reach what is in use at one moment.
        effort: of CP-SAT, in its deterministic time: the result depends on neither the machine nor its load.
    """
    least = max(usage(sizes, spans), default=0)
    apart = [_merged(own) for own in spans]
    moments = _moments(apart)
    offsets = pack(sizes, apart, _conflicts(moments, len(sizes)), least, align)
    found = Placement(tuple(offsets), _top(sizes, offsets), least, "as much is in use at one moment")
    if found.proved:
        return found
    how = f"{least:,} bytes are in use at one moment"
    if solver:
        try:
            from ortools.sat.python import cp_model
        except ImportError:
            how += '; with OR-tools (pip install "rnnpool[compile]") a solver would go on from here'
        else:
            together = _together(moments) if len(sizes) <= MOST_PIECES else []
            if 0 < len(together) <= MOST_MOMENTS:
                return _solve(cp_model, sizes, together, found, align, effort)
            how += f"; {len(sizes)} pieces are too many for CP-SAT"
    return Placement(found.offsets, found.bytes, least, how)


def _merged(spans: Sequence[Span]) -> list[Span]:
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def _moments(spans: Sequence[Sequence[Span]]) -> list[tuple[list[int], NDArray[np.bool_]]]:
    """For each moment with which spans begin: the pieces whose spans these are, and for every piece whether it is in
    use then."""
    begins: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for piece, own in enumerate(spans):
        for first, last in own:
            begins.setdefault(first, []).append(piece)
            ends.setdefault(last + 1, []).append(piece)
    found = []
    in_use = np.zeros(len(spans), dtype=bool)
    for moment in sorted({*begins, *ends}):
        in_use[ends.get(moment, [])] = False
        if moment in begins:
            in_use[begins[moment]] = True
            found.append((begins[moment], in_use.copy()))
    return found


def _conflicts(moments: Sequence[tuple[list[int], NDArray[np.bool_]]], count: int) -> list[Ints]:
    """Of each piece, those that are in use at a moment when it is: one of the two begins while the other is there."""
    both = np.zeros((count, count), dtype=bool)
    for begun, in_use in moments:
        both[begun] |= in_use
    both |= both.T
    np.fill_diagonal(both, False)
    return [row.nonzero()[0] for row in both]


def _top(sizes: Sequence[int], offsets: Sequence[int]) -> int:
    return max((offset + size for offset, size in zip(offsets, sizes, strict=True)), default=0)


def _together(moments: Sequence[tuple[list[int], NDArray[np.bool_]]]) -> list[list[int]]:
    """The largest sets of pieces that are in use at one moment: every conflict is within one of them."""
    sets = {int.from_bytes(np.packbits(in_use).tobytes()): in_use for _, in_use in moments}
    largest: list[int] = []
    for each in sorted(sets, key=int.bit_count, reverse=True):
        if not any(each & other == each for other in largest):
            largest.append(each)
            if len(largest) > MOST_MOMENTS:
                break
    return [sets[each].nonzero()[0].tolist() for each in largest]


def _solve(
    cp_model: Any, sizes: Sequence[int], together: Sequence[Sequence[int]], start: Placement, align: int, effort: float
) -> Placement:
    """CP-SAT from the heuristic's offsets on: one worker and a fixed seed, so that it always finds the same."""
    # Everything can be pushed down until it rests on something: offsets are then multiples of what all sizes are.
    unit = gcd(align, *sizes) if align > 1 else gcd(*sizes)
    sizes = [size // unit for size in sizes]
    step = max(1, align // unit)
    top = start.bytes // unit
    model = cp_model.CpModel()
    size = model.new_int_var(-(-start.least // unit), top, "size")
    intervals = []
    places = []
    for index, own in enumerate(sizes):
        place = model.new_int_var(0, (top - own) // step, f"place {index}")
        model.add_hint(place, start.offsets[index] // unit // step)
        model.add(place * step + own <= size)
        intervals.append(model.new_fixed_size_interval_var(place * step, own, f"piece {index}"))
        places.append(place)
    for each in together:
        model.add_no_overlap([intervals[i] for i in each])
    model.minimize(size)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = effort
    status = solver.solve(model)
    stopped = f"{start.least:,} bytes are in use at one moment; CP-SAT stopped after {effort:g} s"
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Placement(start.offsets, start.bytes, start.least, stopped)
    offsets = tuple(solver.value(place) * step * unit for place in places)
    found = _top([size * unit for size in sizes], offsets)
    if status == cp_model.OPTIMAL:
        return Placement(offsets, found, found, "by CP-SAT")
    return Placement(offsets, found, max(start.least, round(solver.best_objective_bound) * unit), stopped)
