"""Memory over time, for a picture: what is in use after every act of a plan."""

from rnnpool.cost.steps import Step
from rnnpool.cost.stream import MAP, StreamPlan


def memory_over_time(plan: StreamPlan) -> tuple[list[int], list[int]]:
    """Bytes in use after each act, and the numbers of the acts with which phases end.

    Rows count while some reader needs them, maps from their first row's phase to the last that reads them, and what
    operators hold from their first act to their last. Never above the plan's peak.
    """
    row_bytes = {s: s.width * s.channels * plan.precision.activation for s in plan.steps}
    held = {s: sum(plan.precision.held_bytes(h) for h in s.held) for s in plan.steps}
    used: list[int] = []
    ends: list[int] = []
    for number, phase in enumerate(plan.phases):
        maps = {b.step for b in plan.buffers_in(number) if b.kind == MAP}
        base = sum(b.bytes for b in plan.buffers_in(number) if b.kind == MAP)
        replay = _Replay(plan, phase.start, phase.stop, maps)
        begin = 0
        for arrival, end in enumerate(phase.run.arrivals):
            if phase.start == 1:
                replay.arrive(arrival)
            for step, act in phase.run.acts[begin:end]:
                replay.act(step, act)
                now = sum(row_bytes[s] * rows for s, rows in replay.live.items() if rows)
                used.append(base + now + sum(held[s] for s in replay.holding))
            begin = end
        ends.append(len(used))
    return used, ends


class _Replay:
    """Rows of every value that exist and are needed, act by act."""

    def __init__(self, plan: StreamPlan, start: int, stop: int, maps: set[Step]) -> None:
        self.readers: dict[Step, list[tuple[Step, list[int]]]] = {}
        for step in plan.steps[start:stop]:
            for read in step.reads:
                self.readers.setdefault(read.source, []).append((step, read.first))
        self.image, self.maps, self.start = plan.steps[0], maps, start
        self.made: dict[Step, int] = {}
        self.acted: dict[Step, int] = {}
        self.live: dict[Step, int] = {}
        self.holding: set[Step] = set()

    def arrive(self, row: int) -> None:
        self.made[self.image] = row + 1
        self._count(self.image)

    def act(self, step: Step, act: int) -> None:
        if not step.takes:
            self.acted[step] = self.made[step] = act + 1
        elif act < step.takes:
            self.acted[step] = act + 1
            self.holding.add(step)
        else:
            self.made[step] = act - step.takes + 1
            if self.made[step] == step.rows:
                self.holding.discard(step)
        for value in [step, *(read.source for read in step.reads)]:
            self._count(value)

    def _count(self, value: Step) -> None:
        made = self.made.get(value)
        if made is None or value in self.maps:  # from an earlier phase, or kept whole
            return
        low = made
        for reader, first in self.readers.get(value, []):
            act = self.acted.get(reader, 0)
            low = min(low, first[act] if act < len(first) else value.rows)
        self.live[value] = made - low
