"""Where the rows of every value lie: how many are kept, how far apart their channels are, whose memory they share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rnnpool.compile.pack import round_up, row_pitch
from rnnpool.compile.stages import Stage
from rnnpool.cost.rowsim import RowRun
from rnnpool.cost.steps import Step
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.elementwise import IntPad
from rnnpool.integer.rnnpool2d import IntRNNPool

# What a piece of memory is for; slots of a ring count from 0.
ARRIVING = -1  # the row that has just been made
KEPT = -2  # what a stage keeps from its first call to its last
OPEN = -3  # what it keeps until it gives a row, but not from there to its next call
SCRATCH = -4  # what its kernels need during a call
OUTPUT = -5  # an int16 row for the caller

SLACK = 32  # bytes behind a row that kernels may read in every network
SHIFT = 4  # bytes by which a depthwise result lies before the row that it overwrites while that is still being read


@dataclass(eq=False)
class Place:
    """The rows of one stage's value.

    ``ring`` and ``arriving`` are arena offsets of pixel 0, known once the arena is packed. A value with a ``host`` has
    no memory of its own: its rows are made in the host's. A depthwise convolution overwrites the oldest of the rows
    that it reads; a border is put around the row that has just arrived.
    """

    stage: Stage
    stride: int  # bytes from channel to channel
    gap: int  # columns of padding that readers need behind each channel
    slots: int  # rows of the ring; all of them where the value is stored whole
    arrives: bool  # whether a row that arrives has memory of its own
    host: Place | None = None
    ring: list[int] = field(default_factory=list)
    arriving: int | None = None

    @property
    def channels(self) -> int:
        """Convolutions compute two channels at a time: an odd number is rounded up."""
        return round_up(self.stage.channels, 2) if self.stage.kind in ("conv", "pair") else self.stage.channels

    @property
    def lead(self) -> int:
        """Bytes before pixel 0: padding, in which a result that overwrites the row begins."""
        return max(SHIFT, round_up(self.stride - self.stage.width))

    @property
    def bytes(self) -> int:
        """Memory of one row."""
        return round_up(self.lead + self.channels * self.stride)

    def oldest(self, row: int) -> int:
        """The first input row that a depthwise convolution's row is made from; -1: a row of padding."""
        op = self.stage.ints[0].op
        assert isinstance(op, IntConv)
        return row * op.stride[0] - op.padding[0]

    def slot(self, row: int) -> int:
        """The slot of the ring where a row lies; a depthwise result lies in one of its host's."""
        return row % self.slots if self.host is None else self.oldest(row) % self.host.slots

    @property
    def period(self) -> int:
        """After how many rows the slots repeat."""
        if self.host is None or self.stage.kind == "border":
            return self.slots
        return self.host.slots // math.gcd(self.host.slots, self.oldest(1) - self.oldest(0))

    def piece(self, row: int) -> tuple[Stage, int]:
        """The piece of memory in which a row is made (``lifetimes.Piece``)."""
        if self.host is None:
            return self.stage, ARRIVING if self.arrives else self.slot(row)
        return self.host.stage, ARRIVING if self.stage.kind == "border" else self.slot(row)


def place_rows(stages: Sequence[Stage], runs: Sequence[RowRun], phase_of: Sequence[int]) -> dict[Stage, Place]:
    """The places of the values of phases; the caller's int16 rows have none.

    Args:
        runs: of the phases 0, 1, ...
        phase_of: the phase of each stage: below 0 if before those planned, len(runs) or more if behind.
    """
    places: dict[Stage, Place] = {}
    for stage in stages:
        phase = phase_of[stage.index]
        readers = [phase_of[reader.index] for reader in stage.readers]
        whole = any(reader > phase for reader in readers)
        if stage.wide or phase >= len(runs) or (phase < 0 and max(readers, default=phase) < 0):
            continue
        gap = max((_padding(reader, stage) for reader in stage.readers), default=0)  # type: ignore[arg-type]
        stride = row_pitch(stage.width, gap)
        if whole:
            places[stage] = Place(stage, stride, gap, stage.rows, False)
        else:
            counted = runs[phase].occupancy[stage]
            arrives = counted.peak > counted.rest
            places[stage] = Place(stage, stride, gap, counted.peak - arrives, arrives)
    for place in places.values():
        _move_in(place, places)
    return places


def _move_in(place: Place, places: Mapping[Stage, Place]) -> None:
    """Find a host for rows that live for a moment only."""
    stage = place.stage
    if place.slots or stage.kind not in ("depthwise", "border"):
        return
    source = places.get(stage.sources[0])
    if source is None or not source.arrives:
        return
    if stage.kind == "depthwise":
        # The row that it overwrites is read for the last time, unless others read several rows at once, too; the one
        # that has arrived lands there later.
        shared = any(_reads_several(reader, source.stage) for reader in source.stage.readers if reader is not stage)
        if source.slots == 2 and place.gap == 0 and stage.added is None and not shared:
            place.host, place.stride = source, source.stride
    elif source.slots == 0 and len(source.stage.readers) == 1:
        op = stage.ints[0].op
        assert isinstance(op, IntPad)
        left, _, top, _ = op.sides
        if left == top == 0:
            place.host = source
            place.stride = source.stride = max(place.stride, source.stride)


def _reads_several(reader: Step, source: Stage) -> bool:
    """Whether one act of a reader needs several rows of a value."""
    reads = [read for read in reader.reads if read.source is source]
    return any(first < last for read in reads for first, last in zip(read.first, read.last, strict=True))


def slack(stages: Sequence[Stage]) -> int:
    """Bytes behind a row's pixels that some kernel reads, be it the arena's last row or a row of zero points."""
    return round_up(max(SLACK, *(_columns_read(stage) - stage.sources[0].width for stage in stages[1:])))


def _columns_read(stage: Stage) -> int:
    """Columns from pixel 0 on that a stage reads of its first source: it computes four at a time."""
    op, (_, _, width) = stage.ints[0].op, stage.ints[0].shape
    if isinstance(op, IntConv):  # rnp_conv.h
        return op.stride[1] * (round_up(width) - 1) - op.padding[1] + op.weights.shape[3]
    if isinstance(op, IntRNNPool):  # rnp_rnnpool.h
        return round_up((width - 1) * op.stride[1] + op.kernel[1]) - op.padding[1]
    return round_up(stage.sources[0].width)


def _padding(reader: Stage, source: Stage) -> int:
    """Columns of zero points that a reader needs beside the source's rows."""
    if reader.sources[0] is not source:
        return 0
    op = reader.ints[0].op
    if isinstance(op, IntConv | IntRNNPool):
        return op.padding[1]
    return 0
