"""Packing buffers: never over one another where they conflict, never below the bound, exact where it is easy."""

from hypothesis import given
from hypothesis import strategies as st

from rnnpool.cost.arena import pack


def overlaps(a: int, b: int, sizes: list[int], offsets: list[int]) -> bool:
    return offsets[a] < offsets[b] + sizes[b] and offsets[b] < offsets[a] + sizes[a]


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 6), st.integers(0, 3), st.booleans()), max_size=12),
    st.sampled_from([1, 4]),
)
def test_intervals(buffers: list[tuple[int, int, int, bool]], align: int) -> None:
    sizes = [size for size, *_ in buffers]
    lives = [(first, first + length) for _, first, length, _ in buffers]
    conflicts = [
        {j for j, b in enumerate(lives) if j != i and a[0] <= b[1] and b[0] <= a[1]} for i, a in enumerate(lives)
    ]
    at = [sum(size for size, life in zip(sizes, lives, strict=True) if life[0] <= t <= life[1]) for t in range(10)]
    bound = max(at, default=0)
    offsets = pack(sizes, conflicts, bound, high=[high for *_, high in buffers], align=align)
    for i, others in enumerate(conflicts):
        assert offsets[i] >= 0
        assert offsets[i] % align == 0
        assert not any(overlaps(i, j, sizes, offsets) for j in others)
    assert max((offsets[i] + sizes[i] for i in range(len(sizes))), default=0) <= sum(sizes) + align * len(sizes)


def test_maps_that_take_turns_use_both_ends() -> None:
    """Sizes 6, 4, 6, 4, each in conflict with its neighbours: 10 is enough."""
    sizes, conflicts = [6, 4, 6, 4], [{1}, {0, 2}, {1, 3}, {2}]
    offsets = pack(sizes, conflicts, 10, high=[False, True, False, True])
    assert max(offset + size for offset, size in zip(offsets, sizes, strict=True)) == 10
