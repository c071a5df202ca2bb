"""The schedule played through: what happens when, and in which moments each piece of memory is in use.

A moment is one call of a stage, the landing of a row or the arrival of an image row. Most pieces of memory are in use
for a part of the moments only: a row until its last reader has done with it, scratch memory while a kernel runs. Pieces
that are never in use at the same moment may share their bytes; ``schedule`` packs them so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rnnpool.compile.places import ARRIVING, KEPT, OPEN, OUTPUT, SCRATCH, Place
from rnnpool.compile.stages import Stage
from rnnpool.cost.arena import Span
from rnnpool.cost.rowsim import RowRun

LANDS = 0x80  # a schedule entry with this bit lets a row land; without, the stage acts

Piece = tuple[Stage, int]


@dataclass
class Life:
    """What a played schedule leaves: the entries to be worked off after each image row, and each piece's spans."""

    entries: list[list[int]] = field(default_factory=list)
    spans: dict[Piece, list[Span]] = field(default_factory=lambda: defaultdict(list))
    moments: int = 0


def play(stages: Sequence[Stage], runs: Sequence[RowRun], places: Mapping[Stage, Place]) -> Life:
    """Play consecutive phases.

    Args:
        runs: of the phases. Values made before the first are there whole; those that stages behind the last read stay.
    """
    player = _Player(stages, places, runs[0].start)
    for run in runs:
        player.phase(run)
    return player.finish()


class _Player:
    def __init__(self, stages: Sequence[Stage], places: Mapping[Stage, Place], start: int) -> None:
        self.stages, self.places = stages, places
        self.life = Life()
        self.now = 0
        self.made = [0] * len(stages)
        self.acted = [0] * len(stages)
        self.rows: list[dict[int, tuple[Piece, int]]] = [{} for _ in stages]  # rows in use: where, since when
        self.occupied: dict[Piece, Stage] = {}
        self.open: dict[Stage, int] = {}  # stages that have been called since their last row: since when
        self.flying: set[Stage] = set()  # values with a row that is to land
        self.guests: dict[Stage, list[Place]] = defaultdict(list)  # depthwise results in the rings of each value
        for place in places.values():
            if place.host is not None and place.stage.kind == "depthwise":
                self.guests[place.host.stage].append(place)
        if start > 1:
            for stage in stages[:start]:
                self.acted[stage.index] = stage.takes or stage.rows
            for stage in stages[:start]:
                if stage in places:
                    for _ in range(stage.rows):
                        self._make(stage)

    def phase(self, run: RowRun) -> None:
        begin = 0
        if run.start == 1:
            for end in run.arrivals[: self.stages[0].rows]:
                self.life.entries.append([])
                self.now += 1
                self._make(self.stages[0])
                self._work_off(run, begin, end)
                begin = end
        else:
            self.life.entries = self.life.entries or [[]]
            self._work_off(run, 0, len(run.acts))

    def finish(self) -> Life:
        for rows in self.rows:
            for piece, since in rows.values():
                self.life.spans[piece].append((since, self.now))
        self.life.moments = self.now + 1
        return self.life

    def _work_off(self, run: RowRun, begin: int, end: int) -> None:
        for number in range(begin, end):
            step, act = run.acts[number]
            assert isinstance(step, Stage)
            takes = step.takes and act < step.takes
            gives = not takes
            if step.takes and not step.gives_apart:
                if takes:
                    gives = number + 1 < end and run.acts[number + 1] == (step, step.takes + self.made[step.index])
                elif self.made[step.index] > act - step.takes:
                    continue  # the call before has made it
            self._call(step, gives)
            if takes or not step.takes:
                self.acted[step.index] += 1
            for source in step.sources:
                self._let_go(source)
            if gives:
                self._make(step)
            self._land()
        self._land()

    def _call(self, stage: Stage, gives: bool) -> None:
        """A moment in which a stage's function runs."""
        self.now += 1
        self.life.entries[-1].append(stage.index)
        spans = self.life.spans
        spans[stage, SCRATCH].append((self.now, self.now))
        spans[stage, OUTPUT].append((self.now, self.now))
        first = spans[stage, KEPT][0][0] if spans[stage, KEPT] else self.now
        spans[stage, KEPT] = [(first, self.now)]
        since = self.open.setdefault(stage, self.now)
        if since < self.now:
            spans[stage, OPEN].pop()
        spans[stage, OPEN].append((since, self.now))
        if gives:
            del self.open[stage]

    def _make(self, stage: Stage) -> None:
        """The stage's next row is written."""
        row = self.made[stage.index]
        self.made[stage.index] += 1
        place = self.places.get(stage)
        if place is None:
            return
        piece = place.piece(row)
        if stage.kind != "border" or place.host is None:  # a border is put around a row of the host that may still live
            if piece in self.occupied:
                raise AssertionError(f"{stage.name} and {self.occupied[piece].name} have rows in the same memory")
            self.occupied[piece] = stage
        self.rows[stage.index][row] = piece, self.now
        if place.slots and piece[1] == ARRIVING:
            self.flying.add(stage)
        self._let_go(stage)

    def _let_go(self, stage: Stage) -> None:
        """Rows that no reader needs any more are dead."""
        rows = self.rows[stage.index]
        low = self.made[stage.index]
        for reader in stage.readers:
            act = self.acted[reader.index]
            for read in reader.reads:
                if read.source is stage and act < len(read.first):
                    low = min(low, read.first[act])
        for row in [row for row in rows if row < low]:
            piece, since = rows.pop(row)
            self._release(stage, piece, since)
            if piece[1] == ARRIVING:
                self.flying.discard(stage)

    def _release(self, stage: Stage, piece: Piece, since: int) -> None:
        self.life.spans[piece].append((since, self.now))
        if self.occupied.get(piece) is stage:
            del self.occupied[piece]

    def _land(self) -> None:
        """A row lands as soon as the ring has room for it that no guest will need."""
        for stage in sorted(self.flying, key=lambda stage: stage.index):
            row = self.made[stage.index] - 1
            slot = (stage, self.places[stage].slot(row))
            if slot in self.occupied or any(not self._read(row, guest) for guest in self.guests[stage]):
                continue
            self.now += 1
            self.life.entries[-1].append(LANDS | stage.index)
            self._release(stage, *self.rows[stage.index][row])
            self.rows[stage.index][row] = slot, self.now
            self.occupied[slot] = stage
            self.flying.discard(stage)

    def _read(self, row: int, guest: Place) -> bool:
        """Whether a depthwise convolution has made the results that overwrite the slot where ``row`` is to land."""
        act = self.acted[guest.stage.index]
        assert guest.host is not None
        return act == guest.stage.rows or guest.oldest(act) >= row - guest.host.slots + 1
