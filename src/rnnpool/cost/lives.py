"""When everything in a plan is in use: all acts in their order as moments, and for each row its first and last one.

The arrival of an image row is a moment, and so is every act (``rowsim.RowRun.acts``). A row is made while the rows that
it is computed from are still there, so in that moment both are in use.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from rnnpool.cost.arena import Span
from rnnpool.cost.rowsim import RowRun
from rnnpool.cost.steps import Step


class Lives:
    """Moments, by step: when each row is ``made`` and last needed (``dead``), and from when to when it ``holds``."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.made: dict[Step, list[int]] = {step: [] for step in steps}
        self.acted: dict[Step, list[int]] = {step: [] for step in steps}  # acts that read rows
        self.dead: dict[Step, list[int]] = {}
        self.ends: list[int] = []  # of each phase, the moment after its last
        self.now = 0

    @classmethod
    def of_plan(cls, steps: Sequence[Step], runs: Sequence[RowRun]) -> Lives:
        """Of phases that follow each other from the first step to the last."""
        lives = cls(steps)
        for run in runs:
            lives._play(run)
        lives._end(steps)
        return lives

    @classmethod
    def of_phase(cls, steps: Sequence[Step], run: RowRun, stop: int) -> Lives:
        """Of one phase with the steps [run.start, stop): what comes from before is there from the first moment on, what
        is needed behind it stays to the last, and what has nothing to do with it has no rows."""
        lives = cls(steps)
        if run.start > 1:
            for step in steps[: run.start]:
                if any(reader.index >= run.start for reader in step.readers):
                    lives.made[step] = [0] * step.rows
        lives._play(run)
        lives._end(steps[run.start : stop])
        for step in steps[:stop]:
            if any(reader.index >= stop for reader in step.readers):
                lives.dead[step] = [lives.now - 1] * len(lives.made[step])
        return lives

    def _play(self, run: RowRun) -> None:
        image = next(iter(self.made))
        begin = 0
        for end in run.arrivals:
            if run.start == 1:
                self.made[image].append(self.now)
                self.now += 1
            for step, act in run.acts[begin:end]:
                if not step.takes or act >= step.takes:
                    self.made[step].append(self.now)
                if not step.takes or act < step.takes:
                    self.acted[step].append(self.now)
                self.now += 1
            begin = end
        self.ends.append(self.now)

    def _end(self, readers: Sequence[Step]) -> None:
        self.dead = {step: list(made) for step, made in self.made.items()}
        for reader in readers:
            for read in reader.reads:
                dead, acted = self.dead[read.source], self.acted[reader]
                for row in range(len(dead)):
                    acts = bisect_right(read.first, row)  # acts that may need the row or one above it
                    if acts:
                        dead[row] = max(dead[row], acted[acts - 1])

    def span(self, first: int, last: int) -> Span:
        """The moments of the phases ``first`` to ``last``."""
        return (self.ends[first - 1] if first else 0), self.ends[last] - 1

    def row(self, step: Step, row: int) -> Span:
        return self.made[step][row], self.dead[step][row]

    def holds(self, step: Step) -> Span:
        """From the first row that a step takes in to the last that it gives."""
        return self.acted[step][0], max(self.acted[step][-1], self.made[step][-1])

    def ring(self, step: Step, slots: int, arrives: bool) -> tuple[list[list[Span]], list[Span]]:
        """Of each slot of a ring, and of the place of arrival, when it is in use.

        Row r belongs into slot r modulo ``slots``. Where rows arrive elsewhere, it is copied there at the end of the
        moment with which the row that lay there is over.
        """
        inside: list[list[Span]] = [[] for _ in range(slots)]
        arriving: list[Span] = []
        for row in range(len(self.made[step])):
            made, dead = self.row(step, row)
            if arrives:
                landed = dead if not slots else max(made, self.dead[step][row - slots]) if row >= slots else made
                arriving.append((made, landed))
                made = landed + 1
            if slots and made <= dead:
                inside[row % slots].append((made, dead))
        return inside, arriving
