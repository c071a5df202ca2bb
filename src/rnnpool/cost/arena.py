"""Places in one block of memory for buffers of which some are never in use together."""

from collections.abc import Sequence

TRIES = 30


def pack(
    sizes: Sequence[int], conflicts: Sequence[set[int]], bound: int, *, high: Sequence[bool] = (), align: int = 1
) -> list[int]:
    """Offsets such that buffers in conflict do not overlap; as low as a short search finds.

    Largest first, each at the lowest place free of what it conflicts with (or the highest below ``bound``, where
    ``high`` says so: maps that take turns live at both ends). What reaches above the bound then goes first, from the
    other end, and again, until nothing does.

    Args:
        sizes: of the buffers in bytes.
        conflicts: for each buffer the indices of those that it may not overlap.
        bound: a size below which no packing can be; the search stops there.
        align: offsets are multiples of this many bytes.
    """
    order = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    ends = list(high) or [False] * len(sizes)
    best: list[int] = []
    least = 0
    for _ in range(TRIES):
        offsets = _fit(order, sizes, conflicts, ends, bound, align)
        top = max((offsets[i] + sizes[i] for i in order), default=0)
        if not best or top < least:
            best, least = offsets, top
        if least <= bound:
            break
        over = [i for i in order if offsets[i] + sizes[i] > bound]
        for i in over:
            ends[i] = not ends[i]
        order = over + [i for i in order if i not in over]
    return best


def _fit(
    order: Sequence[int],
    sizes: Sequence[int],
    conflicts: Sequence[set[int]],
    high: Sequence[bool],
    bound: int,
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
        if offset + size <= bound:
            gaps.append((offset, bound))
        if high[index] and gaps:
            offset = (gaps[-1][1] - size) // align * align
        elif gaps:
            offset = gaps[0][0]
        offsets[index] = offset
    return offsets
