"""Where the rows of every value lie and when everything happens: one static plan, made before any code is.

The network runs in phases: in the first, stages act as image rows arrive; a value that crosses a cut is stored whole,
and the next phase takes its rows from there once the last image row has come. The order of the acts and the rows that
are alive together come from ``rnnpool.cost.rowsim``; rows that arrive share memory as in ``rnnpool.cost.stream``. Sizes
are the real ones: rows with their padding, tiles, states, all that the code needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rnnpool.compile.pack import rnnpool_sizes, round_up
from rnnpool.compile.stages import Stage
from rnnpool.cost.arena import pack
from rnnpool.cost.rowsim import RowRun, run_rows
from rnnpool.cost.steps import Step
from rnnpool.errors import InputError
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.rnnpool2d import IntRNNPool

ALIGNMENT = 8
LANDS = 0x80  # a schedule entry with this bit lets a row land; without, the stage acts
SLACK = 32  # bytes behind the last row, which tiles of four pixels may read
_PROGRESS_BYTES = 12  # rnp_progress
CONTEXT_BYTES = 64  # the header of the arena, pointers of 8 bytes included


@dataclass
class Place:
    """Memory of one stage's value. Offsets are those of pixel 0 of the first row; None: there is no such memory.

    In use in the phases ``first`` to ``last``.
    """

    stage: Stage
    stride: int  # bytes from channel to channel
    slots: int  # rows of the ring; all of them where the value is stored whole
    arrives: bool  # whether a row that arrives has memory of its own
    first: int
    last: int
    ring: int | None = None
    arriving: int | None = None

    @property
    def lead(self) -> int:
        """Bytes before the first row: padding, rounded up so that rows stay aligned."""
        return round_up(self.stride - self.stage.width, ALIGNMENT)

    @property
    def channels(self) -> int:
        """Convolutions compute two channels at a time: an odd number is rounded up."""
        return round_up(self.stage.channels, 2) if self.stage.kind in ("conv", "pair") else self.stage.channels

    @property
    def row_bytes(self) -> int:
        return self.channels * self.stride

    def block(self, rows: int) -> int:
        """Bytes of memory for ``rows`` rows."""
        return round_up(self.lead + rows * self.row_bytes, ALIGNMENT)


@dataclass
class Buffer:
    """One piece of the arena, in use in the phases ``first`` to ``last``."""

    name: str
    bytes: int
    first: int
    last: int
    offset: int = 0


@dataclass
class Plan:
    """The whole arena and the schedule.

    ``acts`` holds for every image row the entries to be worked off: a stage's index, or LANDS + its index. ``cuts`` are
    the indices of the stages that begin a phase.
    """

    stages: list[Stage]
    cuts: tuple[int, ...]
    places: dict[Stage, Place]
    states: dict[Stage, int]  # offsets of what stages keep: RNNPool's state, sums
    scratch: int  # offset
    wide: int  # offset of the int16 row that an output stage fills
    progress: int  # offset of rnp_progress [stages]; the header of the arena is at 0
    bytes: int
    acts: list[list[int]]
    buffers: list[Buffer] = field(default_factory=list)


def plan_arena(stages: Sequence[Stage], cuts: Sequence[int] | None = None) -> Plan:
    """Plan an execution.

    Args:
        cuts: indices of stages that begin a phase; None: those that a search finds best, () everything by rows.

    Raises:
        InputError: more than 127 stages, which the schedule's bytes cannot name.
    """
    if len(stages) > LANDS - 1:
        raise InputError(f"the network has {len(stages)} stages; the schedule names at most {LANDS - 1}")
    runner = _Runner(stages)
    return _search(runner) if cuts is None else _plan(runner, tuple(sorted(cuts)))


class _Runner:
    """Runs of phases, each simulated once: a search asks for most of them again and again."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = stages
        self._runs: dict[tuple[int, int], RowRun] = {}

    def run(self, start: int, stop: int) -> RowRun:
        if (start, stop) not in self._runs:
            self._runs[start, stop] = run_rows(self.stages, start, stop, record=True)
        return self._runs[start, stop]


def _search(runner: _Runner) -> Plan:
    """Cuts added one by one, each where it saves most, as long as that saves anything."""
    stages, best = runner.stages, _plan(runner, ())
    while True:
        # A cut makes its crossing values whole; one whose maps alone exceed the best plan is not worth planning.
        candidates = [
            cut for cut in range(2, len(stages)) if cut not in best.cuts and _crossing(stages, cut) < best.bytes
        ]
        plans = [_plan(runner, tuple(sorted((*best.cuts, cut)))) for cut in candidates]
        better = min(plans, key=lambda plan: plan.bytes, default=best)
        if better.bytes >= best.bytes:
            return best
        best = better


def _crossing(stages: Sequence[Stage], cut: int) -> int:
    """Bytes of the values that are made before a cut and read behind it."""
    return sum(
        stage.rows * stage.channels * stage.width
        for stage in stages[:cut]
        if any(reader.index >= cut for reader in stage.readers)
    )


def _plan(runner: _Runner, cuts: tuple[int, ...]) -> Plan:
    stages = runner.stages
    edges = [1, *cuts, len(stages)]
    phase_of = [0] * len(stages)
    for number, (start, stop) in enumerate(pairwise(edges)):
        phase_of[start:stop] = [number] * (stop - start)
    runs = [runner.run(start, stop) for start, stop in pairwise(edges)]
    places = {stage: _place(stage, runs, phase_of) for stage in stages if not stage.wide}
    final = len(runs) - 1
    buffers = [Buffer("header", CONTEXT_BYTES, 0, final)]
    shared: list[tuple[Buffer, list[tuple[Place, int]]]] = []  # blocks of arriving rows, with the offsets inside
    rings: list[tuple[Buffer, Place]] = []
    for number, run in enumerate(runs):
        block, inside = _arrivals(run, [place for place in places.values() if place.arrives and place.first == number])
        if block:
            buffers.append(Buffer("arriving rows, shared", block, number, number))
            shared.append((buffers[-1], inside))
    for stage, place in places.items():
        if place.slots:
            rows = "whole" if place.last > place.first else f"{place.slots} rows"
            buffers.append(Buffer(f"{stage.name}: {rows}", place.block(place.slots), place.first, place.last))
            rings.append((buffers[-1], place))
    kept: list[tuple[Stage, Buffer]] = []
    for stage in stages:
        if size := round_up(state_bytes(stage), ALIGNMENT):
            buffers.append(Buffer(f"{stage.name}: state", size, phase_of[stage.index], phase_of[stage.index]))
            kept.append((stage, buffers[-1]))
    scratch, wide, progress = (
        Buffer(name, round_up(size, ALIGNMENT), 0, final)
        for name, size in (
            ("scratch of the kernels", max(map(scratch_bytes, stages))),
            ("output row", max(map(wide_bytes, stages))),
            ("progress", _PROGRESS_BYTES * len(stages)),
        )
    )
    buffers += [scratch, wide, progress]
    end = _pack(buffers)
    for buffer, inside in shared:
        for place, offset in inside:
            place.arriving = buffer.offset + offset + place.lead
    for buffer, place in rings:
        place.ring = buffer.offset + place.lead
    return Plan(
        list(stages),
        cuts,
        places,
        {stage: buffer.offset for stage, buffer in kept},
        scratch.offset,
        wide.offset,
        progress.offset,
        round_up(end + SLACK, ALIGNMENT),
        _acts(stages, runs, places),
        sorted(buffers, key=lambda buffer: (buffer.first, buffer.offset)),
    )


def _arrivals(run: RowRun, places: Sequence[Place]) -> tuple[int, list[tuple[Place, int]]]:
    """The block that the arriving rows of a phase share: its size, and the offsets in it."""
    index_of = {place.stage: index for index, place in enumerate(places)}
    sizes = [place.block(1) for place in places]
    conflicts: list[set[int]] = [set() for _ in places]
    most = 0
    for flight in run.flights:
        inside = [index_of[stage] for stage in flight if stage in index_of]
        most = max(most, sum(sizes[index] for index in inside))
        for index in inside:
            conflicts[index].update(other for other in inside if other != index)
    offsets = pack(sizes, conflicts, most, align=ALIGNMENT)
    size = max((offset + size for offset, size in zip(offsets, sizes, strict=True)), default=0)
    return size, list(zip(places, offsets, strict=True))


def _pack(buffers: Sequence[Buffer]) -> int:
    """Offsets such that buffers of common phases do not overlap; the header stays at 0. Returns the end."""
    header, *rest = buffers
    conflicts = [
        {j for j, b in enumerate(rest) if j != i and a.first <= b.last and b.first <= a.last}
        for i, a in enumerate(rest)
    ]
    phases = max(buffer.last for buffer in buffers) + 1
    bound = max(sum(b.bytes for b in rest if b.first <= phase <= b.last) for phase in range(phases))
    # Maps that are handed from phase to phase take turns at both ends; what a phase needs for itself lies between.
    high = [b.last > b.first and b.first % 2 == 1 and b.last - b.first < phases - 1 for b in rest]
    offsets = pack([b.bytes for b in rest], conflicts, bound, high=high, align=ALIGNMENT)
    for buffer, offset in zip(rest, offsets, strict=True):
        buffer.offset = header.bytes + offset
    return max(buffer.offset + buffer.bytes for buffer in buffers)


def state_bytes(stage: Stage) -> int:
    """What a stage keeps from row to row."""
    op = stage.ints[0].op
    if isinstance(op, IntRNNPool):
        return rnnpool_sizes(op, stage.sources[0].width)[0]
    return 4 * stage.channels if stage.kind == "mean" else 0


def scratch_bytes(stage: Stage) -> int:
    """What a stage's kernels need while they run (the ``_buffer_size`` functions of the runtime)."""
    op = stage.ints[0].op
    if isinstance(op, IntRNNPool):
        return rnnpool_sizes(op, stage.sources[0].width)[1]
    if stage.kind in ("conv", "pair"):
        assert isinstance(op, IntConv)
        inner = round_up(stage.ints[0].shape[0]) if stage.kind == "pair" else 0
        return 8 * (round_up(op.weights[0].size) + inner)
    return 0


def wide_bytes(stage: Stage) -> int:
    """The int16 row of an output stage."""
    return 2 * round_up(stage.width) * round_up(stage.channels, 2) if stage.wide else 0


def _place(stage: Stage, runs: Sequence[RowRun], phase_of: Sequence[int]) -> Place:
    gap = max((_padding(reader, stage) for reader in stage.readers), default=0)  # type: ignore[arg-type]
    stride = round_up(stage.width + gap)
    first = phase_of[stage.index]
    last = max((phase_of[reader.index] for reader in stage.readers), default=first)
    if last > first:
        return Place(stage, stride, stage.rows, False, first, last)
    counted = runs[first].occupancy[stage]
    arrives = counted.peak > counted.rest
    return Place(stage, stride, counted.peak - arrives, arrives, first, last)


def _padding(reader: Stage, source: Stage) -> int:
    """Columns of zero points that a reader needs beside the source's rows."""
    if reader.sources[0] is not source:
        return 0
    op = reader.ints[0].op
    if isinstance(op, IntConv | IntRNNPool):
        return op.padding[1]
    return 0


def _acts(stages: Sequence[Stage], runs: Sequence[RowRun], places: dict[Stage, Place]) -> list[list[int]]:
    """The schedule, with the landings put in: a row lands as soon as the ring has room for it."""
    made = [0] * len(stages)
    acted = [0] * len(stages)
    landed = [0] * len(stages)
    flying = [place for place in places.values() if place.arrives]

    def alive(stage: Stage) -> int:
        low = made[stage.index]
        for reader in stage.readers:
            for read in reader.reads:
                act = acted[reader.index]
                if read.source is stage and act < len(read.first):
                    low = min(low, read.first[act])
        return made[stage.index] - low

    def land(entries: list[int]) -> None:
        for place in flying:
            index = place.stage.index
            if landed[index] < made[index] and alive(place.stage) <= place.slots:
                landed[index] = made[index]
                entries.append(LANDS | index)

    def work_off(acts: Sequence[tuple[Step, int]], entries: list[int]) -> None:
        for step, act in acts:
            gives = not step.takes or act >= step.takes
            if not step.takes or not gives:  # what gives a row of a step that takes rows in is the act before
                entries.append(step.index)
                acted[step.index] += 1
            made[step.index] += gives
            land(entries)
        land(entries)

    schedule: list[list[int]] = []
    begin = 0
    for row in range(stages[0].rows):
        made[0] += 1
        schedule.append([])
        work_off(runs[0].acts[begin : runs[0].arrivals[row]], schedule[-1])
        begin = runs[0].arrivals[row]
    for run in runs[1:]:
        work_off(run.acts, schedule[-1])
    return schedule
