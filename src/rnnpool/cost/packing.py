"""Low offsets for pieces of memory, by trying orders in which they are placed one by one.

A piece lies at the lowest place that is free of what it conflicts with, or at the highest below the size that no arena
can undercut. From the orders that it begins with, in turn, what reaches above that size goes first, from the other end,
and again, until nothing does. What is best then is changed at random: a piece at the top changes places in the order
with one that was placed before it, as TVM's planner does.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

TRIES = 60  # from each order
PROMOTED = 3  # of the orders are gone on from
PAIRS = 200_000  # of conflicting pieces that are looked at from each of them, but for two tries
CHANGES = 4_000  # pieces that are placed anew in the search at random


def pack(sizes: Sequence[int], spans: Sequence[Any], conflicts: Sequence[Ints], least: int, align: int) -> list[int]:
    """Offsets; the search ends early where they need no more than ``least`` bytes.

    Args:
        spans: when each piece is in use, sorted and apart.
        conflicts: of each piece, the pieces that are in use at a moment when it is.
        align: offsets are multiples of it.
    """
    search = Search(np.array(sizes, dtype=np.int64), conflicts, least, align)
    count = range(len(sizes))
    lives = [sum(last - first + 1 for first, last in own) for own in spans]
    beside = [int(search.sizes[others].sum()) for others in conflicts]
    orders = [
        sorted(count, key=lambda i: -sizes[i]),
        sorted(count, key=lambda i: (-lives[i] * sizes[i], -sizes[i])),
        sorted(count, key=lambda i: (spans[i][0][0] if spans[i] else 0, -sizes[i])),
        sorted(count, key=lambda i: (-beside[i], -sizes[i])),
        sorted(count, key=lambda i: (-lives[i], -sizes[i])),
    ]
    tries = max(2, min(TRIES, PAIRS // (sum(map(len, conflicts)) + 1)))
    lines = [search.promote(order) for order in orders]
    for number in range(tries):
        for line in lines if number == 0 else lines[:PROMOTED]:
            next(line)
            if search.top <= least:
                return search.best.tolist()
    search.change(min(100, CHANGES // len(sizes)))
    return search.best.tolist()


class Search:
    """``best`` are the lowest offsets so far, with ``top`` above the highest piece; ``how`` they came about."""

    def __init__(self, sizes: Ints, conflicts: Sequence[Ints], least: int, align: int) -> None:
        self.sizes, self.conflicts, self.least, self.align = sizes, conflicts, least, align
        self.best = np.zeros_like(sizes)
        self.top = 1 << 62
        self.how: tuple[list[int], NDArray[np.bool_]] = [], np.zeros(len(sizes), dtype=bool)

    def promote(self, order: list[int]) -> Iterator[None]:
        """With every step a try: what reached too high goes first and to the other end."""
        high = np.zeros(len(self.sizes), dtype=bool)
        while True:
            offsets = self._try(order, high)
            yield
            over = offsets + self.sizes > self.least
            high ^= over
            order = [i for i in order if over[i]] + [i for i in order if not over[i]]

    def change(self, tries: int) -> None:
        """Random changes of the best order, kept where they do not harm."""
        draws = random.Random(0)
        (order, high), offsets, top = self.how, self.best, self.top
        for _ in range(tries):
            place = {piece: number for number, piece in enumerate(order)}
            piece = draws.choice(np.flatnonzero(offsets + self.sizes == top).tolist())
            earlier = [other for other in self.conflicts[piece].tolist() if place[other] < place[piece]]
            if not earlier:
                return
            other = draws.choice(earlier)
            tried = list(order)
            if draws.random() < 0.5:
                tried[place[piece]], tried[place[other]] = other, piece
            else:
                tried.insert(place[other], tried.pop(place[piece]))
            found = self._try(tried, high)
            if self.top <= self.least:
                return
            if (reached := self._top(found)) <= top:
                order, offsets, top = tried, found, reached

    def _try(self, order: list[int], high: NDArray[np.bool_]) -> Ints:
        offsets = self.fit(order, high)
        if (top := self._top(offsets)) < self.top:
            self.best, self.top, self.how = offsets, top, (order, high.copy())
        return offsets

    def _top(self, offsets: Ints) -> int:
        return int((offsets + self.sizes).max(initial=0))

    def fit(self, order: Sequence[int], high: NDArray[np.bool_]) -> Ints:
        """Offsets by placing the pieces in this order, each low or ``high``."""
        sizes, least, align = self.sizes, self.least, self.align
        offsets = np.full(len(sizes), -1, dtype=np.int64)
        gap_begins, gap_ends = np.zeros((2, len(sizes) + 1), dtype=np.int64)
        for piece in order:
            size = sizes[piece]
            others = self.conflicts[piece]
            others = others[offsets[others] >= 0]
            begins = offsets[others]
            upwards = begins.argsort()
            count = len(others)
            np.maximum.accumulate((begins + sizes[others])[upwards], out=gap_begins[1 : count + 1])
            if align > 1:
                gap_begins[1 : count + 1] = -(-gap_begins[1 : count + 1] // align) * align
            gap_ends[:count] = begins[upwards]
            gap_ends[count] = least
            wide = (gap_ends[: count + 1] - gap_begins[: count + 1] >= size).nonzero()[0]
            # What lies above least can end a gap there; a high piece stays below.
            below = wide[gap_begins[wide] + size <= least] if high[piece] else wide[:0]
            if len(below):
                offsets[piece] = (min(gap_ends[below[-1]], least) - size) // align * align
            else:
                offsets[piece] = gap_begins[wide[0] if len(wide) else count]
        return offsets
