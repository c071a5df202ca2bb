"""The plan of an execution by rows: what is kept, where, and when the network goes over from rows to whole maps.

Every value that is read as rows come keeps what its readers still need, in a ring. A row that arrives lies in a buffer
of its own until the oldest row of the ring is dead, and is then copied over it; such buffers are in use for moments and
share memory. With ``tile`` even the arriving row is never whole: its pixels are used up a few columns at a time.

The network may be cut into phases: a value that crosses a cut is stored whole, and the next phase takes its rows from
there. Layer by layer is a cut behind every step, one phase is rows from the camera to the end; the best cuts are found
by dynamic programming over the places where little crosses. An operator that needs a whole map (the excitation of
squeeze-and-excitation) gets it either way: as a ring of all rows, or at a cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from torch import nn

from rnnpool.cost.arena import Placement, Span, place, usage
from rnnpool.cost.count import as_graph
from rnnpool.cost.cuts import best_order
from rnnpool.cost.lives import Lives
from rnnpool.cost.precision import Precision, precision
from rnnpool.cost.rowsim import RowRun, run_rows
from rnnpool.cost.steps import Step, build_steps
from rnnpool.graph import Graph
from rnnpool.graph.op import Number

RING, ARRIVING, HELD, MAP = "ring", "arriving", "held", "map"


@dataclass(eq=False)
class Buffer:
    """Memory with one purpose.

    ``kind`` is "ring" (the last ``rows`` rows of a value), "arriving" (its newest row, or ``width`` columns of it),
    "held" (what an operator keeps, such as RNNPool's states) or "map" (a value stored whole). In use in phases
    ``first`` to ``last``, both included. Each row of a ring has a place of its own, and of a map, unless that is
    kept in whole: ``offsets`` in the arena, in bytes. Row r of a value is in row r modulo ``rows`` of its ring.
    """

    name: str
    kind: str
    step: Step
    rows: int
    width: int
    channels: int
    number: Number
    bytes: int
    first: int
    last: int
    spans: list[list[Span]]  # of each of its pieces, the moments in use
    offsets: list[int] = field(default_factory=list)

    @property
    def piece_bytes(self) -> int:
        """Of a row that has a place of its own, or of everything that an operator holds."""
        return self.bytes // len(self.spans)


@dataclass
class Phase:
    """Steps [start, stop) run row by row; ``run`` has their order."""

    start: int
    stop: int
    run: RowRun
    bytes: int = 0  # up to the end of its highest buffer
    live: int = 0  # the most that is in use at one moment: no arena is smaller


@dataclass
class StreamPlan:
    """The whole plan; ``peak`` bytes hold every buffer at its offset."""

    graph: Graph
    precision: Precision
    steps: list[Step]
    phases: list[Phase]
    buffers: list[Buffer]
    tile: int | None
    peak: int
    placement: Placement  # the offsets, and how near they are to the best
    lives: Lives

    @property
    def used(self) -> list[int]:
        """Bytes in use at each moment."""
        return usage(*_pieces(self.buffers))

    def buffers_in(self, phase: int) -> list[Buffer]:
        return [buffer for buffer in self.buffers if buffer.first <= phase <= buffer.last]

    @property
    def forced_maps(self) -> list[Step]:
        """Values kept whole because an operator needs all their rows before the first row of its output can be made."""
        return [step for step in self.steps[1:] if step.rows > 1 and _forced(step)]


def plan_rows(
    network: nn.Module | Graph,
    input_shape: Sequence[int] | None = None,
    *,
    dtype: str = "int8",
    state: str | None = None,
    tile: int | None = None,
    cuts: Sequence[int] | None = None,
    align: int = 1,
    solver: bool = False,
) -> StreamPlan:
    """Plan a network, by default with the cuts that need least memory.

    Args:
        network: a module (then ``input_shape`` (C, H, W) is needed) or its graph.
        dtype: of activations; ``state`` of recurrent states, the same by default.
        tile: columns that are worked on at a time; None: rows are whole.
        cuts: indices of steps that begin a new phase, instead of the best ones; () is one phase.
        align: of buffers, in bytes.
        solver: see ``arena.place``.

    Raises:
        InputError: see ``rnnpool.graph.lower``; an unknown dtype.
    """
    graph = as_graph(network, input_shape)
    numbers = precision(dtype, state)
    steps = build_steps(graph)
    found, late = best_order(steps, numbers) if cuts is None else (sorted(cuts), frozenset())
    edges = [1, *found, len(steps)]
    phases = [Phase(a, b, run_rows(steps, a, b, late=late)) for a, b in pairwise(edges)]
    return _placed(graph, numbers, steps, phases, tile, align, True, solver)


def retiled(plan: StreamPlan, tile: int | None, *, solver: bool = False) -> StreamPlan:
    """The same phases with another ``tile``."""
    phases = [Phase(phase.start, phase.stop, phase.run) for phase in plan.phases]
    return _placed(plan.graph, plan.precision, plan.steps, phases, tile, 1, True, solver)


def layer_by_layer(plan: StreamPlan) -> StreamPlan:
    """The same network with every map whole, each freed after its last use."""
    steps = plan.steps
    phases = [Phase(index, index + 1, run_rows(steps, index, index + 1)) for index in range(1, len(steps))]
    return _placed(plan.graph, plan.precision, steps, phases, None, 1, False, False)


def _placed(
    graph: Graph,
    numbers: Precision,
    steps: list[Step],
    phases: list[Phase],
    tile: int | None,
    align: int,
    sliding: bool,
    solver: bool,
) -> StreamPlan:
    """The buffers of the phases, at their places.

    ``sliding``: maps give up their memory row by row as they are read, and take it row by row as they are made; False:
    all at once, in whole phases.
    """
    phase_of = [0] * len(steps)
    for number, phase in enumerate(phases):
        for index in range(phase.start, phase.stop):
            phase_of[index] = number
    lives = Lives.of_plan(steps, [phase.run for phase in phases])
    buffers: list[Buffer] = []
    for step in steps:
        born = phase_of[step.index]
        dies = max((phase_of[reader.index] for reader in step.readers), default=born)
        row = step.width * step.channels * numbers.activation
        if dies > born:
            whole = lives.span(born, dies)
            spans = [[lives.row(step, each)] for each in range(step.rows)] if sliding else [[whole]]
            buffers.append(_row_buffer(step, MAP, step.rows, step.width, row * step.rows, born, dies, spans))
        else:
            buffers += _rows_of(step, phases[born].run, born, numbers, tile, lives)
        for held in step.held:
            size = numbers.held_bytes(held)
            spans = [[lives.holds(step)]]
            name = f"{step.name}: {held.name}"
            buffers.append(
                Buffer(name, HELD, step, held.rows, held.width, held.channels, held.number, size, born, born, spans)
            )
    sizes, spans = _pieces(buffers)
    placement = place(sizes, spans, align=align, solver=solver)
    offsets = iter(placement.offsets)
    for buffer in buffers:
        buffer.offsets = [next(offsets) for _ in buffer.spans]
    plan = StreamPlan(graph, numbers, steps, phases, buffers, tile, placement.bytes, placement, lives)
    used = plan.used
    for number, phase in enumerate(phases):
        first, last = lives.span(number, number)
        phase.live = max(used[first : last + 1])
        phase.bytes = max(max(buffer.offsets) + buffer.piece_bytes for buffer in plan.buffers_in(number))
    return plan


def _pieces(buffers: Sequence[Buffer]) -> tuple[list[int], list[list[Span]]]:
    """Sizes of all pieces, and when they are in use."""
    sizes = [buffer.piece_bytes for buffer in buffers for _ in buffer.spans]
    return sizes, [spans for buffer in buffers for spans in buffer.spans]


def _rows_of(step: Step, run: RowRun, phase: int, numbers: Precision, tile: int | None, lives: Lives) -> list[Buffer]:
    """The ring of a value and the buffer of its arriving row."""
    counted = run.occupancy[step]
    arrives = counted.peak > counted.rest
    kept = counted.peak - arrives
    pixel = step.channels * numbers.activation
    slots, arriving = lives.ring(step, kept, arrives)
    found = []
    if kept:
        row = step.width * pixel
        found.append(_row_buffer(step, RING, kept, step.width, kept * row, phase, phase, slots))
    if arrives:
        width = step.width
        if tile is not None:
            reads = [read for reader in step.readers for read in reader.reads if read.source is step]
            width = min(width, tile + max((read.columns for read in reads), default=1) - 1)
        found.append(_row_buffer(step, ARRIVING, 1, width, width * pixel, phase, phase, [arriving]))
    return found


def _row_buffer(
    step: Step, kind: str, rows: int, width: int, size: int, first: int, last: int, spans: list[list[Span]]
) -> Buffer:
    name = f"{step.name}: {kind}"
    return Buffer(name, kind, step, rows, width, step.channels, "activation", size, first, last, spans)


def _forced(step: Step) -> bool:
    """Whether all rows of a value wait: some reader needs the last one for its first act, without taking rows in."""
    return any(
        read.source is step and not reader.takes and read.last[0] == step.rows - 1
        for reader in step.readers for read in reader.reads
    ) or _waits_for_global(step)  # fmt: skip


def _waits_for_global(step: Step) -> bool:
    """Whether a reader combines the value with something that is known only after all its rows (excitation)."""
    for reader in step.readers:
        others = [read.source for read in reader.reads if read.source is not step]
        if any(other.rows == 1 and other.available[-1] >= step.available[-1] for other in others):
            return True
    return False
