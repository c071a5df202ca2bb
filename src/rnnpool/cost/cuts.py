"""Where to cut a network into phases: the cuts of least memory, by dynamic programming and a search from there.

For the dynamic programming a phase's memory is estimated: the maps that exist during it, the rings of the values that
stay inside, and the most that the rows in flight of one step and its inputs can be. Rings of a phase do not depend on
where it ends, so one estimate a beginning serves every end; it goes on for as long as the phase could still be cheaper
than the best plan of short phases. The search then adds, drops and shifts cuts by what is alive at once when the phases
are played, and holds back steps of which a reader of stride 2 needs two rows at a time.
"""

from collections.abc import Collection, Sequence
from itertools import accumulate, pairwise

from rnnpool.cost.lives import Lives
from rnnpool.cost.precision import Precision
from rnnpool.cost.rowsim import run_rows
from rnnpool.cost.rowtimes import RowTimes
from rnnpool.cost.steps import Step

REACH = 4  # places that a phase is first tried over, then three times as many while that may pay
MOST_PLACES = 40
PLAYED = 60_000  # rows that the search plays

Best = dict[int, tuple[int, int, int]]  # place -> (peak, phases, place before)
Cost = tuple[list[int], int]
ENDLESS = 1 << 62
HOPELESS: Cost = [ENDLESS], 0


def best_order(steps: Sequence[Step], numbers: Precision) -> tuple[list[int], frozenset[int]]:
    """Indices of the steps that begin a phase, the first phase aside; and of those that are to be late."""
    places = [1, *_places(steps, numbers), len(steps)]
    estimated = _estimated(steps, places, numbers)
    search = _Search(steps, numbers)
    start = min(([], estimated), key=search.cost)
    cuts = search.improve(start, places[1:-1])
    return cuts, search.hold_back(cuts)


def _estimated(steps: Sequence[Step], places: Sequence[int], numbers: Precision) -> list[int]:
    times = RowTimes(steps)
    costs: dict[int, dict[int, int]] = {}
    for begin, end in pairwise(places):
        costs[begin] = _costs(steps, times, begin, [end], numbers)[0]
    for number, begin in enumerate(places[:-1]):
        best = _solve(places, costs)
        limit, phases, _ = best[len(steps)]
        if (best[begin][0], best[begin][1] + 1) >= (limit, phases) and begin > 1:
            continue  # whatever begins here is no better than the best plan so far
        ends = places[number + 1 :]
        reach = len(ends) if begin == 1 else REACH
        while True:
            costs[begin], inside = _costs(steps, times, begin, ends[:reach], numbers)
            if reach >= len(ends) or inside > limit:
                break
            reach *= 3
    best = _solve(places, costs)
    cuts = []
    place = len(steps)
    while (place := best[place][2]) != 1:
        cuts.append(place)
    return cuts[::-1]


class _Search:
    """Cuts changed one by one, as long as that lowers the highest phases."""

    def __init__(self, steps: Sequence[Step], numbers: Precision) -> None:
        self.steps, self.numbers = steps, numbers
        self.crossing = crossing_bytes(steps, numbers)
        self.phases: dict[tuple[int, int], int] = {}
        self.played = 0

    def cost(self, cuts: Sequence[int], better_than: Sequence[int] | None = None) -> Cost:
        """What is alive at once in each phase, the highest first, and how many phases there are.

        With ``better_than``, other cuts that were played, it is HOPELESS if some phase needs more than the highest of
        theirs. What crosses a cut may tell that, or the phase that most of that highest one is in, which is played
        first.
        """
        edges = [*pairwise([1, *cuts, len(self.steps)])]
        limit = ENDLESS
        if better_than is not None:
            start, stop = self.highest(better_than)
            limit = self.phases[start, stop]
            if any(self.crossing[cut] > limit for cut in cuts):
                return HOPELESS
            edges.sort(key=lambda phase: max(phase[0], start) - min(phase[1], stop))
        costs = []
        for phase in edges:
            if phase not in self.phases:
                self.phases[phase] = phase_peak(self.steps, *phase, self.numbers)
                self.played += sum(step.takes + step.rows for step in self.steps[slice(*phase)])
            if self.phases[phase] > limit:
                return HOPELESS
            costs.append(self.phases[phase])
        return sorted(costs, reverse=True), len(costs)

    def highest(self, cuts: Sequence[int]) -> tuple[int, int]:
        """The phase that needs most."""
        return max(pairwise([1, *cuts, len(self.steps)]), key=lambda phase: self.phases[phase])

    def improve(self, cuts: list[int], places: Sequence[int]) -> list[int]:
        best = self.cost(cuts)
        changed = True
        while changed:
            changed = False
            for tried in self._neighbours(cuts, places):
                if self.played > PLAYED:
                    return cuts
                if (cost := self.cost(tried, better_than=cuts)) < best:
                    best, cuts, changed = cost, tried, True
                    break
        return cuts

    def hold_back(self, cuts: Sequence[int]) -> frozenset[int]:
        """Steps that lower the highest phases if they are late, among those of which a reader needs two rows more each
        time."""
        late: set[int] = set()
        phases = sorted(pairwise([1, *cuts, len(self.steps)]), key=lambda phase: -self.phases[phase])
        done = 0  # what the phases so far need at least
        for start, stop in phases:
            best = self.phases[start, stop]
            if best <= done:
                break
            candidates = {step.index for step in self.steps[start:stop] if not step.takes and _skipped(step)}
            found: set[int] = set()
            for tried in [candidates, *({each} for each in sorted(candidates))]:
                if tried <= found or self.played > PLAYED:
                    continue
                peak = phase_peak(self.steps, start, stop, self.numbers, late=found | tried)
                self.played += sum(step.takes + step.rows for step in self.steps[start:stop])
                if peak < best:
                    best, found = peak, found | tried
            late |= found
            done = max(done, best)
        return frozenset(late)

    def _neighbours(self, cuts: list[int], places: Sequence[int]) -> list[list[int]]:
        """Changes at the highest phase: a cut within, one of its ends shifted or dropped."""
        start, stop = self.highest(cuts)
        others = [cut for cut in cuts if cut not in (start, stop)]
        found = [sorted({*cuts, place}) for place in places if start < place < stop]
        for end in {start, stop} & set(cuts):
            rest = sorted({*others, *({start, stop} & set(cuts) - {end})})
            before = max((cut for cut in [1, *rest] if cut < end), default=1)
            after = min((cut for cut in [*rest, len(self.steps)] if cut > end), default=len(self.steps))
            found.append(rest)
            found += [sorted({*rest, place}) for place in places if before < place < after and place != end]
        return found


def _skipped(step: Step) -> bool:
    """Whether some reader goes on by more than one row at a time."""
    reads = [read for reader in step.readers for read in reader.reads if read.source is step]
    return any(after - before > 1 for read in reads for before, after in pairwise(read.last))


def phase_peak(steps: Sequence[Step], start: int, stop: int, numbers: Precision, *, late: Collection[int] = ()) -> int:
    """The most bytes alive at one moment while the steps [start, stop) run as a phase of their own."""
    run = run_rows(steps, start, stop, late=late)
    lives = Lives.of_phase(steps, run, stop)
    change = [0] * (lives.ends[-1] + 1)
    for step in steps[:stop]:
        row = step.width * step.channels * numbers.activation
        for made, dead in zip(lives.made[step], lives.dead[step], strict=True):
            change[made] += row
            change[dead + 1] -= row
        if step.held and step.index >= start:
            first, last = lives.holds(step)
            size = sum(map(numbers.held_bytes, step.held))
            change[first] += size
            change[last + 1] -= size
    return max(accumulate(change))


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


def crossing_bytes(steps: Sequence[Step], numbers: Precision) -> list[int]:
    """Of the values made before each place and read behind it, as maps; nothing crosses place 1, where rows arrive."""
    sizes = [0] * (len(steps) + 1)
    for step in steps:
        for place in range(max(2, step.index + 1), last_reader(step) + 1):
            sizes[place] += map_bytes(step, numbers)
    return sizes


def _places(steps: Sequence[Step], numbers: Precision) -> list[int]:
    """Local minima of what crosses; where there are too many, those that fewest values cross."""
    sizes, values = crossing_bytes(steps, numbers), [0] * (len(steps) + 1)
    for step in steps:
        for place in range(step.index + 1, last_reader(step) + 1):
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
    before = [(last_reader(step), map_bytes(step, numbers)) for step in waiting]
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
        # A map that is read for the last time makes room for one that is written.
        total = sum(size for last, size in before if last >= end)
        read, written, most, inside = sum(size for last, size in before if last < end), 0, 0, total
        for index, last, whole, ring, held, flight in values:
            if index >= end:
                break
            inside += ring + held
            total += held + (ring if last < end else 0)
            written += whole if last >= end else 0
            most = most if last >= end else max(most, flight)
        found[end] = total + max(read, written) + most
    return found, inside
