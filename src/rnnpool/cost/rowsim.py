"""Row by row: in which order steps act as rows arrive, and how many rows of every value are needed at once.

Whatever became computable runs, the deepest step first, so that rows are used up as early as they can be; but steps
that are told to be late wait until what they make can be used at once. Nothing is computed twice. A run of consecutive
steps may read whole maps made before it; their rows are then taken in the order in which they would arrive, all maps at
the same pace.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from rnnpool.cost.steps import Step


@dataclass
class Occupancy:
    """Rows of one value that are needed at once: at most, and when everything has run that could."""

    peak: int = 0
    rest: int = 0


@dataclass
class RowRun:
    """What happened in the steps [start, stop)."""

    start: int
    occupancy: dict[Step, Occupancy]
    # (step, act) in order: act k makes output row k; of a step that takes rows in, act k takes input row k, and act
    # takes + k gives output row k
    acts: list[tuple[Step, int]] = field(default_factory=list)
    # how many acts had happened when each arriving row had been worked off
    arrivals: list[int] = field(default_factory=list)


def run_rows(steps: Sequence[Step], start: int, stop: int, *, late: Collection[int] = ()) -> RowRun:
    """Let all rows arrive and count.

    Args:
        steps: of the network, as ``build_steps`` gives them.
        start, stop: the steps to run; values made before ``start`` are there whole, but the image (where start is 1)
            arrives row by row and is counted like any value.
        late: indices of steps that make a row only when it can be used at once: when a reader could act with the rows
            that the step could make now.
    """
    return _Simulation(steps, start, stop, late).run()


class _Simulation:
    def __init__(self, steps: Sequence[Step], start: int, stop: int, late: Collection[int]) -> None:
        self.steps, self.start, self.stop, self.late = steps, start, stop, set(late)
        self.rows = [step.rows for step in steps]
        self.made = [0] * len(steps)  # rows of each value that exist
        self.acted = [0] * len(steps)
        self.result = RowRun(start, {})
        inner = list(steps[start:stop])
        if start == 1:
            inner.insert(0, steps[0])
        for step in inner:
            self.result.occupancy[step] = Occupancy()
        # who reads each value, with the first row that each of its acts needs
        self.readers: list[list[tuple[int, list[int]]]] = [[] for _ in steps]
        for step in steps[start:stop]:
            for read in step.reads:
                self.readers[read.source.index].append((step.index, read.first))
        # what each step lacked when it last tried: a row of a value; until that is there, trying again is in vain
        self.lacks = [(0, -1)] * len(steps)
        self.waiting: list[int] = []  # heap of negated indices
        self.queued = [False] * len(steps)
        self.touched: set[Step] = set()

    def run(self) -> RowRun:
        arrivals = self._arrivals()
        for number, source in enumerate(arrivals):
            self._row(source)
            self._work_off()
            if number == len(arrivals) - 1 and self.late:  # rows that nobody reads are made all the same
                for index in self.late:
                    self._queue(index)
                self.late = set()
                self._work_off()
            for step in self.touched:
                counted = self.result.occupancy[step]
                counted.rest = max(counted.rest, self._needed(step.index))
            self.touched.clear()
            self.result.arrivals.append(len(self.result.acts))
        for step in self.steps[self.start : self.stop]:
            if self.made[step.index] != self.rows[step.index]:
                raise AssertionError(f"{step} made {self.made[step.index]} of {self.rows[step.index]} rows")
        return self.result

    def _work_off(self) -> None:
        while self.waiting:
            index = -heapq.heappop(self.waiting)
            self.queued[index] = False
            self._act(self.steps[index])

    def _arrivals(self) -> list[Step]:
        """The values from outside, one entry a row, in the order of arrival; single rows are there from the start."""
        sources = dict.fromkeys(
            read.source for step in self.steps[self.start : self.stop] for read in step.reads
            if read.source.index < self.start
        )  # fmt: skip
        rows = [
            ((row + 1) / source.rows if source.rows > 1 else 0.0, source.index, source)
            for source in sources
            for row in range(source.rows)
        ]
        return [source for _, _, source in sorted(rows, key=lambda entry: entry[:2])]

    def _row(self, step: Step) -> None:
        """One more row of a value exists."""
        index = step.index
        self.made[index] += 1
        counted = self.result.occupancy.get(step)
        if counted is not None:
            counted.peak = max(counted.peak, self._needed(index), 1)
            self.touched.add(step)
        for reader, _ in self.readers[index]:
            source, row = self.lacks[reader]
            if self.made[source] > row:
                self._queue(reader)

    def _needed(self, index: int) -> int:
        """Rows of a value that exist and that some reader has not done with."""
        made = self.made[index]
        low = made
        for reader, first in self.readers[index]:
            act = self.acted[reader]
            if act < len(first) and first[act] < low:
                low = first[act]
        return made - low

    def _queue(self, index: int) -> None:
        if not self.queued[index]:
            self.queued[index] = True
            heapq.heappush(self.waiting, -index)

    def _act(self, step: Step) -> None:
        index = step.index
        act, made = self.acted[index], self.made[index]
        if step.takes:
            if made < self.rows[index] and step.after[made] < act:
                self.result.acts.append((step, step.takes + made))
                self._queue(index)
                self._row(step)
                return
            if act >= step.takes:
                return
        elif act >= self.rows[index]:
            return
        for read in step.reads:
            if read.last[act] >= self.made[read.source.index]:
                self.lacks[index] = read.source.index, read.last[act]
                return
        if index in self.late and not self._wanted(step):
            return
        # The row is made while the rows it is computed from are still there.
        self.result.acts.append((step, act))
        if not step.takes:
            self._row(step)
        self.acted[index] += 1
        self._queue(index)
        if self.late:
            for read in step.reads:
                if read.source.index in self.late:
                    self._queue(read.source.index)

    def _wanted(self, step: Step) -> bool:
        """Whether a reader could act if the step went on as far as it can."""
        for reader in step.readers:
            act = self.acted[reader.index]
            if not self.start <= reader.index < self.stop or act >= (reader.takes or self.rows[reader.index]):
                continue
            for read in reader.reads:
                if read.source is step:
                    if read.last[act] >= self.made[step.index] and self._reaches(step, read.last[act]):
                        continue
                elif read.last[act] < self.made[read.source.index]:
                    continue
                break
            else:
                return True
        return False

    def _reaches(self, step: Step, row: int) -> bool:
        """Whether a step could make its rows up to this one from what exists."""
        return all(read.last[row] < self.made[read.source.index] for read in step.reads)
