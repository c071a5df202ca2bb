"""Where everything lies and when everything happens: one static plan, made before any code is.

The network runs in phases: in the first, stages act as image rows arrive; a value that crosses a cut is stored whole,
and the next phase takes its rows from there once the last image row has come. The order of the acts comes from
``rnnpool.cost.rowsim``, the places of rows from ``places``. Every row, state and scratch memory is in use for a part of
the time; what is never in use at the same moment may lie at the same address, so that the rows of one map replace those
of another as these are used up. Sizes are the real ones: rows with their padding, tiles, states, all that the code
needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rnnpool.compile.lifetimes import LANDS, Life, Piece, play
from rnnpool.compile.pack import expand_sizes, rnnpool_sizes, round_up, row_pitch, sums_sizes
from rnnpool.compile.places import ARRIVING, KEPT, OPEN, OUTPUT, SCRATCH, SHIFT, Place, place_rows, slack
from rnnpool.compile.stages import Stage
from rnnpool.cost.arena import Placement, Span, place, usage
from rnnpool.cost.rowsim import RowRun, run_rows
from rnnpool.errors import InputError
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.rnnpool2d import IntRNNPool

ALIGNMENT = 8  # of the arena
PIECE_ALIGNMENT = 4
NEAR = 1.005  # times the bytes in use at one moment: an arena that is small enough
_PROGRESS_BYTES = 6  # rnp_progress: at most 32767 rows
CONTEXT_BYTES = 64  # the header of the arena, pointers of 8 bytes included


@dataclass
class Buffer:
    """One piece of the arena, in use in the moments of ``spans``."""

    name: str
    bytes: int
    spans: list[Span]
    offset: int = 0


@dataclass
class Plan:
    """The whole arena and the schedule.

    ``acts`` holds for every image row the entries to be worked off: a stage's index, or LANDS + its index. ``cuts`` are
    the indices of the stages that begin a phase. ``placement`` says how good the packing is.
    """

    stages: list[Stage]
    cuts: tuple[int, ...]
    places: dict[Stage, Place]
    offsets: dict[Piece, int]  # of what stages keep and need, rows aside
    progress: int  # offset of rnp_progress [stages]; the header of the arena is at 0
    bytes: int
    placement: Placement
    acts: list[list[int]]
    buffers: list[Buffer] = field(default_factory=list)

    def fullest(self) -> list[tuple[str, int]]:
        """What is in use at the moment with most in use, by owner, and the bytes; the largest first."""

        used = usage([buffer.bytes for buffer in self.buffers], [buffer.spans for buffer in self.buffers])
        fullest = used.index(max(used))
        found: dict[str, int] = {}
        for buffer in self.buffers:
            if any(begin <= fullest <= end for begin, end in buffer.spans):
                found[buffer.name] = found.get(buffer.name, 0) + buffer.bytes
        return sorted(found.items(), key=lambda item: -item[1])


def plan_arena(stages: Sequence[Stage], cuts: Sequence[int] | None = None) -> Plan:
    """Plan an execution.

    Args:
        cuts: indices of stages that begin a phase; None: those that need least at one moment, () everything by rows.

    Raises:
        InputError: more than 127 stages, which the schedule's bytes cannot name, or 32767 rows.
    """
    if max(stage.rows for stage in stages) >= 1 << 15:
        raise InputError(f"the image has {stages[0].rows} rows; at most {(1 << 15) - 1} can be counted")
    if len(stages) > LANDS - 1:
        raise InputError(f"the network has {len(stages)} stages; the schedule names at most {LANDS - 1}")
    runner = _Runner(stages)
    return _plan(runner, _search(runner) if cuts is None else tuple(sorted(cuts)))


class _Runner:
    """Runs of phases, each simulated once: a search and the plan it leads to ask for the same ones."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = stages
        self._runs: dict[tuple[int, int], RowRun] = {}

    def run(self, start: int, stop: int) -> RowRun:
        if (start, stop) not in self._runs:
            self._runs[start, stop] = run_rows(self.stages, start, stop)
        return self._runs[start, stop]

    def peak(self, start: int, stop: int) -> int:
        """The most bytes in use at one moment of the phase [start, stop)."""
        stages = self.stages
        run = self.run(start, stop)
        phase_of = [-1 if stage.index < start else int(stage.index >= stop) for stage in stages]
        phase_of[0] = 0 if start == 1 else -1
        places = place_rows(stages, [run], phase_of)
        return _most(_pieces(places, play(stages, [run], places)))


def _search(runner: _Runner) -> tuple[int, ...]:
    """The cuts with the least memory in use at one moment, the fewest among equals, by dynamic programming."""
    stages = runner.stages
    count = len(stages)
    limit = runner.peak(1, count)
    crossing = [_crossing(stages, cut) for cut in range(count)]
    # Within a block more crosses than before and behind it. Maps that alone exceed the plan without cuts never pay.
    possible = [
        cut
        for cut in range(2, count)
        if crossing[cut] < limit and crossing[cut] <= min(crossing[cut - 1], crossing[min(cut + 1, count - 1)])
    ]
    best: dict[int, tuple[int, int, int]] = {1: (0, 0, 1)}  # beginning of a phase: peak so far, phases, the one before
    for start in [1, *possible]:
        before, phases, _ = best[start]
        for stop in [cut for cut in [*possible, count] if cut > start]:
            entry = (max(before, runner.peak(start, stop)), phases + 1, start)
            if stop not in best or entry < best[stop]:
                best[stop] = entry
    cuts = []
    cut = count
    while (cut := best[cut][2]) != 1:
        cuts.append(cut)
    return tuple(cuts[::-1])


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
    places = place_rows(stages, runs, phase_of)
    life = play(stages, runs, places)
    pieces = _pieces(places, life)
    head = CONTEXT_BYTES + round_up(_PROGRESS_BYTES * len(stages), ALIGNMENT)
    buffers = list(pieces.values())
    placement = _place(buffers)
    for buffer, offset in zip(buffers, placement.offsets, strict=True):
        buffer.offset = head + offset
    for value in places.values():
        _locate(value, pieces)
    always = [(0, life.moments - 1)]
    fixed = [Buffer("header", CONTEXT_BYTES, always), Buffer("progress", head - CONTEXT_BYTES, always, CONTEXT_BYTES)]
    return Plan(
        list(stages),
        cuts,
        places,
        {piece: buffer.offset for piece, buffer in pieces.items()},
        CONTEXT_BYTES,
        round_up(head + placement.bytes + slack(stages), ALIGNMENT),
        placement,
        life.entries,
        [*fixed, *buffers],
    )


def _place(buffers: Sequence[Buffer]) -> Placement:
    """Offsets; by the solver only where it may save more than a little, since it takes its time."""
    sizes, spans = [buffer.bytes for buffer in buffers], [buffer.spans for buffer in buffers]
    found = place(sizes, spans, align=PIECE_ALIGNMENT, solver=False)
    if found.bytes <= NEAR * found.least:
        return found
    return place(sizes, spans, align=PIECE_ALIGNMENT)


def _pieces(places: dict[Stage, Place], life: Life) -> dict[Piece, Buffer]:
    """The pieces that take memory, in the order of their first use."""
    found: dict[Piece, Buffer] = {}
    for (stage, kind), spans in life.spans.items():
        if kind >= 0 or kind == ARRIVING:
            place = places[stage]
            name = "the row that arrives" if kind == ARRIVING else "rows"
            size = place.bytes
        else:
            name, size = _NAMES[kind], stage_bytes(stage)[kind]
        if size:
            found[stage, kind] = Buffer(f"{stage.name}: {name}", round_up(size, PIECE_ALIGNMENT), spans)
    return dict(sorted(found.items(), key=lambda item: item[1].spans[0]))


def _most(pieces: dict[Piece, Buffer]) -> int:
    """The most bytes in use at one moment."""
    return max(usage([buffer.bytes for buffer in pieces.values()], [buffer.spans for buffer in pieces.values()]))


def _locate(place: Place, pieces: dict[Piece, Buffer]) -> None:
    """The addresses of a value's rows."""

    def pixel_0(piece: Piece) -> int:
        return pieces[piece].offset + (place.host or place).lead

    if place.host is None:
        place.ring = [pixel_0((place.stage, slot)) for slot in range(place.slots)]
        place.arriving = pixel_0((place.stage, ARRIVING)) if place.arrives else None
    elif place.stage.kind == "border":
        place.arriving = pixel_0((place.host.stage, ARRIVING))
    else:
        place.ring = [pixel_0(place.piece(row)) - SHIFT for row in range(place.period)]


_NAMES = {KEPT: "state", OPEN: "state of open windows", SCRATCH: "scratch", OUTPUT: "output row"}


def stage_bytes(stage: Stage) -> dict[int, int]:
    """What a stage keeps and needs, rows aside: bytes by the kind of piece (the ``_size`` functions of the runtime)."""
    op = stage.ints[0].op
    kept = open_ = scratch = 0
    if isinstance(op, IntRNNPool):
        kept, open_, scratch = rnnpool_sizes(op, stage.sources[0].width)
    elif stage.kind == "expand":
        (wide, _, width), channels = stage.ints[0].shape, stage.sources[0].channels
        kept, scratch = expand_sizes(channels, wide, width, row_pitch(width))
    elif stage.kind == "sums":
        kept, scratch = sums_sizes(stage.sources[0].channels, stage.channels, stage.width)
    elif stage.kind == "mean":
        kept = 4 * stage.channels
    elif stage.kind in ("conv", "pair"):
        assert isinstance(op, IntConv)
        inner = round_up(stage.ints[0].shape[0]) if stage.kind == "pair" else 0
        scratch = (2 if stage.dense else 8) * (round_up(op.weights[0].size) + inner)
    output = 2 * round_up(stage.width) * round_up(stage.channels, 2) if stage.wide else 0
    return {KEPT: kept, OPEN: open_, SCRATCH: scratch, OUTPUT: output}
