"""Places in an arena: never two pieces over one another, as small as an exhaustive search says, and honest."""

import random
import sys
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.cost.arena import Placement, Span, place, usage
from rnnpool.cost.packing import Search

PIECES = st.lists(
    st.tuples(
        st.integers(1, 9),
        st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)).map(lambda p: (p[0], sum(p))), min_size=1, max_size=3),
    ),
    max_size=7,
)
Pieces = list[tuple[int, list[Span]]]


def moments(spans: list[Span]) -> set[int]:
    return {moment for first, last in spans for moment in range(first, last + 1)}


def check(pieces: Pieces, found: Placement, align: int = 1) -> None:
    sizes = [size for size, _ in pieces]
    used = [moments(spans) for _, spans in pieces]
    for i, a in enumerate(found.offsets):
        assert a >= 0
        assert a % align == 0
        for j, b in enumerate(found.offsets[:i]):
            if used[i] & used[j]:
                assert a + sizes[i] <= b or b + sizes[j] <= a, (i, j)
    assert found.bytes == max((o + s for o, s in zip(found.offsets, sizes, strict=True)), default=0)
    assert found.least <= found.bytes


def smallest(pieces: Pieces) -> int:
    """The slow twin: in some order of placing each at its lowest free place there is a smallest arena."""
    used = [moments(spans) for _, spans in pieces]
    best = sum(size for size, _ in pieces)
    for order in permutations(range(len(pieces))):
        offsets: dict[int, int] = {}
        for i in order:
            others = [(offsets[j], offsets[j] + pieces[j][0]) for j in offsets if used[i] & used[j]]
            places = [0, *(end for _, end in others)]
            offsets[i] = min(p for p in places if all(p + pieces[i][0] <= begin or end <= p for begin, end in others))
        best = min(best, max((offsets[i] + pieces[i][0] for i in offsets), default=0))
    return best


@settings(max_examples=60, deadline=None)
@given(PIECES, st.sampled_from([1, 4]), st.booleans())
def test_pieces_in_use_do_not_overlap(pieces: Pieces, align: int, solver: bool) -> None:
    sizes, spans = [size for size, _ in pieces], [own for _, own in pieces]
    check(pieces, place(sizes, spans, align=align, solver=solver, effort=0.1), align)


@settings(max_examples=25, deadline=None)
@given(PIECES.filter(lambda pieces: len(pieces) <= 6))
def test_what_is_proved_is_the_smallest(pieces: Pieces) -> None:
    found = place([size for size, _ in pieces], [own for _, own in pieces], effort=1.0)
    best = smallest(pieces)
    assert found.least <= best <= found.bytes
    if found.proved:
        assert found.bytes == best


def test_usage_is_the_sum_of_what_is_in_use() -> None:
    assert usage([5, 7, 2], [[(0, 1), (1, 2)], [(2, 4)], [(1, 1), (4, 4)]]) == [5, 7, 12, 7, 9]


def test_rows_of_one_map_replace_those_of_another() -> None:
    """A map of 4 rows of 10 is read while one of 4 rows of 8 is made, each row one moment before the other dies."""
    sizes = [10] * 4 + [8] * 4
    spans = [[(0, row)] for row in range(4)] + [[(row, 4)] for row in range(4)]
    found = place(sizes, spans, solver=False)
    assert max(usage(sizes, spans)) == 48
    assert found.bytes == 48
    assert found.proved
    assert "in use at one moment" in found.quality


def test_no_solver_is_started_where_the_heuristic_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ortools.sat.python", None)
    assert place([3, 4], [[(0, 1)], [(1, 2)]]).proved


@settings(max_examples=40, deadline=None)
@given(PIECES, st.sampled_from([1, 4]), st.data())
def test_a_piece_lies_at_its_lowest_or_highest_free_place(pieces: Pieces, align: int, data: st.DataObject) -> None:
    """Against trying every offset."""
    count = len(pieces)
    order = data.draw(st.permutations(range(count)))
    high = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    sizes, used = [size for size, _ in pieces], [moments(spans) for _, spans in pieces]
    conflicts = [np.array([j for j in range(count) if j != i and used[i] & used[j]], dtype=int) for i in range(count)]
    least = max(usage(sizes, [spans for _, spans in pieces]), default=0)
    expected: dict[int, int] = {}
    for i in order:
        taken = [(expected[j], expected[j] + sizes[j]) for j in expected if used[i] & used[j]]
        free = [
            offset
            for offset in range(0, sum(sizes) + align * count + 1, align)
            if all(offset + sizes[i] <= begin or end <= offset for begin, end in taken)
        ]
        below = [offset for offset in free if offset + sizes[i] <= least]
        expected[i] = max(below) if high[i] and below else min(free)
    search = Search(np.array(sizes, dtype=int), conflicts, least, align)
    assert search.fit(order, np.array(high, dtype=bool)).tolist() == [expected[i] for i in range(count)]


def test_a_high_piece_stays_below_the_least_arena_under_one_that_lies_above_it() -> None:
    conflicts = [np.array([1]), np.array([0, 2]), np.array([1])]
    search = Search(np.array([8, 1, 1]), conflicts, least=6, align=1)
    assert search.fit([0, 1, 2], np.array([False, False, True])).tolist() == [0, 8, 5]


def test_the_search_goes_on_from_the_best_order() -> None:
    """Every order that it begins with leaves a gap: only changing it finds the smallest arena."""
    draws = random.Random(5)
    better = 0
    for _ in range(20):
        pieces = [(draws.randint(1, 30), first) for first in (draws.randint(0, 40) for _ in range(40))]
        sizes, spans = [size for size, _ in pieces], [[(first, first + draws.randint(1, 15))] for _, first in pieces]
        used = [moments(own) for own in spans]
        conflicts = [np.array([j for j in range(40) if j != i and used[i] & used[j]], dtype=int) for i in range(40)]
        search = Search(np.array(sizes), conflicts, max(usage(sizes, spans)), 1)
        next(search.promote(sorted(range(40), key=lambda i: -sizes[i])))
        before = search.top
        search.change(100)
        assert search.top <= before
        better += search.top < before
    assert better > 5
