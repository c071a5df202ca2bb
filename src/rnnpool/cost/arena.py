"""Places in one arena for pieces of memory that are in use at different times.

Pieces that are never in use at the same moment may lie over one another: rows that live for a moment share whatever is
free then, and the rows of a map that is being written replace those of one that is being read.

The search for low offsets is a heuristic. No arena is smaller than what is in use at one moment: where the heuristic
reaches that, its arena is proved smallest and no solver is started. Elsewhere OR-tools' CP-SAT goes on from there, if
it is installed, and proves its result or says how far from the best it may be.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

Span = tuple[int, int]  # first and last moment, both in use

TRIES = 60  # of the heuristic from each order that it begins with
VISITS = 600_000  # pairs of pieces that it looks at before it gives up
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
    moments = [_bits(own) for own in spans]
    conflicts = [[j for j, b in enumerate(moments) if j != i and a & b] for i, a in enumerate(moments)]
    offsets = _heuristic(sizes, conflicts, moments, least, align)
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


def _bits(spans: Sequence[Span]) -> int:
    """The moments of the spans as bits of a number."""
    bits = 0
    for first, last in spans:
        bits |= ((1 << (last - first + 1)) - 1) << first
    return bits


def _top(sizes: Sequence[int], offsets: Sequence[int]) -> int:
    return max((offset + size for offset, size in zip(offsets, sizes, strict=True)), default=0)


def _heuristic(
    sizes: Sequence[int], conflicts: Sequence[Sequence[int]], moments: Sequence[int], least: int, align: int
) -> list[int]:
    """One by one, each at the lowest place free of what it conflicts with, or at the highest below ``least``.

    What reaches above ``least`` then goes first, from the other end, and again, until nothing does. The orders to begin
    with: the largest first; what is in use longest first, and of that the largest.
    """
    count = range(len(sizes))
    orders = [
        sorted(count, key=lambda i: -sizes[i]),
        sorted(count, key=lambda i: (-moments[i].bit_count() * sizes[i], -sizes[i])),
        sorted(count, key=lambda i: ((moments[i] & -moments[i]).bit_length(), -sizes[i])),
    ]
    tries = max(2, min(TRIES, VISITS // (3 * sum(map(len, conflicts)) + 1)))
    best: list[int] = []
    for order in orders:
        high = [False] * len(sizes)
        for _ in range(tries):
            offsets = _fit(order, sizes, conflicts, high, least, align)
            if not best or _top(sizes, offsets) < _top(sizes, best):
                best = offsets
            over = [i for i in order if offsets[i] + sizes[i] > least]
            if not over:
                return best
            for i in over:
                high[i] = not high[i]
            order = over + [i for i in order if i not in over]
    return best


def _fit(
    order: Sequence[int],
    sizes: Sequence[int],
    conflicts: Sequence[Sequence[int]],
    high: Sequence[bool],
    least: int,
    align: int,
) -> list[int]:
    offsets = [-1] * len(sizes)
    for index in order:
        size = sizes[index]
        taken = sorted(
            (offsets[other], offsets[other] + sizes[other]) for other in conflicts[index] if offsets[other] >= 0
        )
        offset, gaps = 0, []
        for begin, end in taken:
            if offset + size <= begin:
                gaps.append((offset, begin))
            offset = max(offset, -(-end // align) * align)
        if offset + size <= least:
            gaps.append((offset, least))
        if high[index] and gaps:
            offset = (gaps[-1][1] - size) // align * align
        elif gaps:
            offset = gaps[0][0]
        offsets[index] = offset
    return offsets


def _together(moments: Sequence[int]) -> list[list[int]]:
    """The largest sets of pieces that are in use at one moment: every conflict is within one of them."""
    sets: set[int] = set()
    end = max(moments, default=0).bit_length()
    columns = [0] * end
    for index, bits in enumerate(moments):
        while bits:
            low = bits & -bits
            columns[low.bit_length() - 1] |= 1 << index
            bits ^= low
    largest: list[int] = []
    sets = set(columns)
    for each in sorted(sets, key=int.bit_count, reverse=True):
        if not any(each & other == each for other in largest):
            largest.append(each)
            if len(largest) > MOST_MOMENTS:
                break
    return [[i for i in range(len(moments)) if each >> i & 1] for each in largest]


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
