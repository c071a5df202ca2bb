"""How many rows of every value are needed at once, from the times at which rows become computable: an estimate.

The same counts as ``rowsim.run_rows`` gives, without playing the order of acts within one arrival, and fast: it is used
to compare thousands of cuts, of which the best is then simulated.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnpool.cost.rowsim import Occupancy
from rnnpool.cost.steps import Read, Step

Times = NDArray[np.float64]
INSTANT = 1e-6  # of the time between two arrivals


class RowTimes:
    """Arrays of the steps' rows, made once for all estimates of a network."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.rows = [step.rows for step in steps]
        self.after = [np.array(step.after) for step in steps]
        self.windows: dict[Read, tuple[NDArray[Any], NDArray[Any]]] = {}
        self.read_by: list[list[tuple[Step, Read]]] = [[] for _ in steps]
        for step in steps:
            for read in step.reads:
                self.windows[read] = (
                    np.append(read.first, self.rows[read.source.index]),
                    np.maximum.accumulate(read.last),
                )
                self.read_by[read.source.index].append((step, read))

    def occupancy(self, start: int, stop: int) -> dict[Step, Occupancy]:
        """Of the values made in the steps [start, stop), and of the image where start is 1; see ``run_rows``."""
        made = self._arrivals(start, stop)  # when each row exists
        acts: dict[int, Times] = {}  # when each act happens
        for step in self.steps[start:stop]:
            count = step.takes or self.rows[step.index]
            when = np.zeros(count)
            for read in step.reads:
                last = self.windows[read][1]
                when = np.maximum(when, np.where(last >= 0, made[read.source.index][last], 0.0))
            # What becomes possible at the same moment happens one after the other.
            turn = np.arange(count) * INSTANT
            acts[step.index] = when = np.maximum.accumulate(when - turn) + turn
            made[step.index] = when[self.after[step.index]] if step.takes else when
        inner = [*([self.steps[0]] if start == 1 else []), *self.steps[start:stop]]
        return {step: self._count(step, made[step.index], acts) for step in inner}

    def _arrivals(self, start: int, stop: int) -> dict[int, Times]:
        """Of the values from outside: one moment a row, all at the same pace; single rows are there from the start."""
        sources = {read.source.index for step in self.steps[start:stop] for read in step.reads}
        outside = [index for index in sources if index < start]
        paces: dict[int, Times] = {}
        for index in outside:
            paces[index] = np.linspace(0, 1, self.rows[index] + 1)[1:]
        moments: Times = np.unique(np.concatenate(list(paces.values())))
        found: dict[int, Times] = {}
        for index, pace in paces.items():
            found[index] = np.searchsorted(moments, pace).astype(np.float64) + 1 if len(pace) > 1 else np.zeros(1)
        return found

    def _count(self, step: Step, made: Times, acts: dict[int, Times]) -> Occupancy:
        rows = np.arange(len(made))
        over = np.floor(made + INSTANT / 2) + 1  # the next arrival
        together = np.searchsorted(made, over - INSTANT / 2)  # rows that exist then
        settled = np.array(together)  # the first row still needed then
        at_birth = np.array(rows + 1)  # and when the row has just been made
        for reader, read in self.read_by[step.index]:
            if reader.index not in acts:
                continue
            when, first = acts[reader.index], self.windows[read][0]
            settled = np.minimum(settled, first[np.searchsorted(when, over - INSTANT / 2)])
            at_birth = np.minimum(at_birth, first[np.searchsorted(when, made - INSTANT / 2)])
        return Occupancy(max(1, int((rows + 1 - at_birth).max())), int((together - settled).max()))
