"""Where to cut a network into phases: the cuts of least memory, by dynamic programming.

A phase's memory is estimated as the maps that exist during it, the rings of the values that stay inside, and the most
that the rows in flight of one step and its inputs can be; the exact figure is the plan's. Rings of a phase do not
depend on where it ends, so one estimate a beginning serves every end; it goes on for as long as the phase could still
be cheaper than the best plan of short phases.
"""

from collections.abc import Sequence
from itertools import pairwise

from rnnpool.cost.precision import Precision
from rnnpool.cost.rowtimes import RowTimes
from rnnpool.cost.steps import Step

REACH = 4  # places that a phase is first tried over, then three times as many while that may pay
MOST_PLACES = 40

Best = dict[int, tuple[int, int, int]]  # place -> (peak, phases, place before)


def best_cuts(steps: Sequence[Step], numbers: Precision) -> tuple[list[int], int, int]:
    """Indices of the steps that begin a phase, the first phase aside; the estimates with them, and without any."""
    places = [1, *_places(steps, numbers), len(steps)]
    times = RowTimes(steps)
    costs: dict[int, dict[int, int]] = {}
    for begin, end in pairwise(places):
        costs[begin] = _costs(steps, times, begin, [end], numbers)[0]
    limit = _solve(places, costs)[len(steps)][0]
    uncut = 0
    for number, begin in enumerate(places[:-1]):
        ends, reach = places[number + 1 :], REACH
        while True:
            costs[begin], inside = _costs(steps, times, begin, ends[:reach], numbers)
            if reach >= len(ends) or (inside > limit and begin > 1):
                break
            reach = len(ends) if begin == 1 else 3 * reach
        uncut = uncut or costs[begin][len(steps)]
    best = _solve(places, costs)
    cuts = []
    place = len(steps)
    while (place := best[place][2]) != 1:
        cuts.append(place)
    return cuts[::-1], best[len(steps)][0], uncut


def _solve(places: Sequence[int], costs: dict[int, dict[int, int]]) -> Best:
    best: Best = {1: (0, 0, 1)}
    for begin in places[:-1]:
        peak, phases, _ = best[begin]
        for end, cost in costs[begin].items():
            entry = (max(peak, cost), phases + 1, begin)
            if end not in best or entry < best[end]:
                best[end] = entry
    return best


def map_bytes(step: Step, numbers: Precision) -> int:
    return step.rows * step.width * step.channels * numbers.activation


def last_reader(step: Step) -> int:
    """Index of the last step that reads a value; its own if none does."""
    return max((reader.index for reader in step.readers), default=step.index)


def _places(steps: Sequence[Step], numbers: Precision) -> list[int]:
    """Local minima of what crosses; where there are too many, those that fewest values cross."""
    sizes, values = [0] * (len(steps) + 1), [0] * (len(steps) + 1)  # of what crosses each place
    for step in steps:
        for place in range(step.index + 1, last_reader(step) + 1):
            sizes[place] += map_bytes(step, numbers)
            values[place] += 1
    minima = [
        place
        for place in range(2, len(steps))
        if sizes[place] <= min(sizes[place - 1 or 1], sizes[place + 1] or sizes[place])
    ]
    return sorted(sorted(minima, key=lambda place: values[place])[:MOST_PLACES])


def _costs(
    steps: Sequence[Step], times: RowTimes, begin: int, ends: Sequence[int], numbers: Precision
) -> tuple[dict[int, int], int]:
    """Estimated bytes of the phases [begin, end) for each end; and of the rings alone up to the last end."""
    occupancy = times.occupancy(begin, ends[-1])
    waiting = [step for step in steps[:begin] if last_reader(step) >= begin and begin > 1]
    before = sum(map_bytes(step, numbers) for step in waiting)
    values = []  # index, last reader, map, ring, held, flying at most
    row = {step: step.width * step.channels * numbers.activation for step in occupancy}
    flying = {step: row[step] if counted.peak > counted.rest else 0 for step, counted in occupancy.items()}
    for step, counted in occupancy.items():
        ring = (counted.peak - (counted.peak > counted.rest)) * row[step]
        held = sum(numbers.held_bytes(held) for held in step.held)
        most = flying[step] + sum(flying.get(read.source, 0) for read in step.reads)
        values.append((step.index, last_reader(step), step.rows * row[step], ring, held, most))
    found = {}
    inside = 0
    for end in ends:
        total, most, inside = before, 0, before
        for index, last, whole, ring, held, flight in values:
            if index >= end:
                break
            inside += ring + held
            total += held + (whole if last >= end else ring)
            most = most if last >= end else max(most, flight)
        found[end] = total + most
    return found, inside
