"""Where the rows of every value lie and when everything happens: one static plan, made before any code is.

The order of the acts and the rows that are alive together come from ``rnnpool.cost.rowsim``; arrivals share memory as
in ``rnnpool.cost.stream``. Sizes are the real ones: rows with their padding, tiles, states, all that the code needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rnnpool.compile.kernel_cases import rnnpool_sizes
from rnnpool.compile.pack import round_up
from rnnpool.compile.stages import Stage
from rnnpool.cost.arena import pack
from rnnpool.cost.rowsim import RowRun, run_rows
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
    """Memory of one stage's value. Offsets are those of pixel 0 of the first row; None: there is no such memory."""

    stage: Stage
    stride: int  # bytes from channel to channel
    slots: int  # rows of the ring
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


@dataclass
class Buffer:
    """One piece of the arena, for reports."""

    name: str
    offset: int
    bytes: int


@dataclass
class Plan:
    """The whole arena and the schedule.

    ``acts`` holds for every image row the entries to be worked off: a stage's index, or LANDS + its index.
    """

    stages: list[Stage]
    places: dict[Stage, Place]
    states: dict[Stage, int]  # offsets of what stages keep: RNNPool's state, sums
    progress: int  # offset of rnp_progress [stages]; the header of the arena is at 0
    scratch: int
    scratch_bytes: int
    wide: int  # offset of the int16 row that an output stage fills
    bytes: int
    acts: list[list[int]]
    buffers: list[Buffer] = field(default_factory=list)


def plan_arena(stages: Sequence[Stage]) -> Plan:
    """Plan a streamed execution.

    Raises:
        InputError: more than 127 stages, which the schedule's bytes cannot name.
    """
    if len(stages) > LANDS - 1:
        raise InputError(f"the network has {len(stages)} stages; the schedule names at most {LANDS - 1}")
    run = run_rows(stages, 1, len(stages), record=True)
    places = {stage: _shape(stage, run) for stage in stages if not stage.wide}
    arriving = [stage for stage in places if _arrives(stage, run)]
    index_of = {stage: index for index, stage in enumerate(arriving)}
    sizes = [_block(places[stage], 1) for stage in arriving]
    conflicts: list[set[int]] = [set() for _ in arriving]
    most = 0
    for flight in run.flights:
        inside = [index_of[stage] for stage in flight if stage in index_of]
        most = max(most, sum(sizes[index] for index in inside))
        for index in inside:
            conflicts[index].update(other for other in inside if other != index)
    offsets = pack(sizes, conflicts, most, align=ALIGNMENT)
    shared = max((offset + size for offset, size in zip(offsets, sizes, strict=True)), default=0)
    plan = Plan(list(stages), places, {}, 0, 0, 0, 0, 0, _acts(stages, run, places))
    plan.buffers.append(Buffer("header", 0, CONTEXT_BYTES))
    end = CONTEXT_BYTES + shared
    if shared:
        plan.buffers.append(Buffer("arriving rows, shared", CONTEXT_BYTES, shared))
    for stage, offset in zip(arriving, offsets, strict=True):
        places[stage].arriving = CONTEXT_BYTES + offset + places[stage].lead
    for stage, place in places.items():
        if place.slots:
            size = _block(place, place.slots)
            place.ring = end + place.lead
            plan.buffers.append(Buffer(f"{stage.name}: {place.slots} rows", end, size))
            end += size
    for stage in stages:
        if kept := state_bytes(stage):
            plan.states[stage] = end
            plan.buffers.append(Buffer(f"{stage.name}: state", end, kept))
            end += round_up(kept, ALIGNMENT)
    plan.scratch, plan.scratch_bytes = end, round_up(max(scratch_bytes(stage) for stage in stages), ALIGNMENT)
    plan.buffers.append(Buffer("scratch of the kernels", end, plan.scratch_bytes))
    end += plan.scratch_bytes
    plan.wide, wide = end, round_up(max((wide_bytes(stage) for stage in stages), default=0), ALIGNMENT)
    if wide:
        plan.buffers.append(Buffer("output row", end, wide))
    end += wide
    plan.progress = end
    plan.buffers.append(Buffer("progress", end, _PROGRESS_BYTES * len(stages)))
    plan.bytes = round_up(end + _PROGRESS_BYTES * len(stages) + SLACK, ALIGNMENT)
    return plan


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


def _shape(stage: Stage, run: RowRun) -> Place:
    gap = max((_padding(reader, stage) for reader in stage.readers), default=0)  # type: ignore[arg-type]
    counted = run.occupancy[stage]
    slots = counted.peak - 1 if _arrives(stage, run) else counted.peak
    return Place(stage, round_up(stage.width + gap), slots)


def _arrives(stage: Stage, run: RowRun) -> bool:
    return not stage.wide and run.occupancy[stage].peak > run.occupancy[stage].rest


def _padding(reader: Stage, source: Stage) -> int:
    """Columns of zero points that a reader needs beside the source's rows."""
    if reader.sources[0] is not source:
        return 0
    op = reader.ints[0].op
    if isinstance(op, IntConv | IntRNNPool):
        return op.padding[1]
    return 0


def _block(place: Place, rows: int) -> int:
    return round_up(place.lead + rows * place.row_bytes, ALIGNMENT)


def _acts(stages: Sequence[Stage], run: RowRun, places: dict[Stage, Place]) -> list[list[int]]:
    """The schedule, with the landings put in: a row lands as soon as the ring has room for it."""
    made = [0] * len(stages)
    acted = [0] * len(stages)
    landed = [0] * len(stages)
    flying = [stage for stage in places if _arrives(stage, run)]

    def alive(stage: Stage) -> int:
        low = made[stage.index]
        for reader in stage.readers:
            for read in reader.reads:
                act = acted[reader.index]
                if read.source is stage and act < len(read.first):
                    low = min(low, read.first[act])
        return made[stage.index] - low

    def land(entries: list[int]) -> None:
        for stage in flying:
            if landed[stage.index] < made[stage.index] and alive(stage) <= places[stage].slots:
                landed[stage.index] = made[stage.index]
                entries.append(LANDS | stage.index)

    schedule, begin = [], 0
    for row in range(stages[0].rows):
        entries: list[int] = []
        made[0] += 1
        for step, act in run.acts[begin : run.arrivals[row]]:
            index = step.index
            entries.append(index)
            acted[index] += 1
            if not step.takes:
                made[index] += 1
                land(entries)
            else:
                land(entries)
                made[index] += act in step.after
        begin = run.arrivals[row]
        land(entries)
        schedule.append(entries)
    return schedule
