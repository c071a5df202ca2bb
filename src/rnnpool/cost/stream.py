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
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from rnnpool.cost.arena import pack
from rnnpool.cost.count import as_graph
from rnnpool.cost.cuts import best_cuts
from rnnpool.cost.precision import Precision, precision
from rnnpool.cost.rowsim import RowRun, run_rows
from rnnpool.cost.steps import Step, build_steps
from rnnpool.graph import Graph
from rnnpool.graph.op import Number

UNCUT_ANYWAY = 1.2
RING, ARRIVING, HELD, MAP = "ring", "arriving", "held", "map"


@dataclass(eq=False)
class Buffer:
    """Memory with one purpose.

    ``kind`` is "ring" (the last ``rows`` rows of a value), "arriving" (its newest row, or ``width`` columns of it),
    "held" (what an operator keeps, such as RNNPool's states) or "map" (a value stored whole). In use in phases
    ``first`` to ``last``, both included; ``offset`` is its place in the arena, in bytes.
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
    offset: int = 0


@dataclass
class Phase:
    """Steps [start, stop) run row by row; ``run`` has their order."""

    start: int
    stop: int
    run: RowRun
    bytes: int = 0  # up to the end of its highest buffer
    live: int = 0  # the most that is in use at one moment: what a perfect packing would need


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
) -> StreamPlan:
    """Plan a network, by default with the cuts that need least memory.

    Args:
        network: a module (then ``input_shape`` (C, H, W) is needed) or its graph.
        dtype: of activations; ``state`` of recurrent states, the same by default.
        tile: columns that are worked on at a time; None: rows are whole.
        cuts: indices of steps that begin a new phase, instead of the best ones; () is one phase.
        align: of buffers, in bytes.

    Raises:
        InputError: see ``rnnpool.graph.lower``; an unknown dtype.
    """
    graph = as_graph(network, input_shape)
    numbers = precision(dtype, state)
    steps = build_steps(graph)
    if cuts is not None:
        return _plan(graph, numbers, steps, sorted(cuts), tile, align)
    found, estimate, uncut = best_cuts(steps, numbers)
    plan = _plan(graph, numbers, steps, found, tile, align)
    if found and uncut < UNCUT_ANYWAY * estimate:  # near enough for the estimates to be wrong
        whole = _plan(graph, numbers, steps, (), tile, align)
        plan = min(plan, whole, key=lambda plan: (plan.peak, len(plan.phases)))
    return plan


def retiled(plan: StreamPlan, tile: int | None, align: int = 1) -> StreamPlan:
    """The same phases with another ``tile``."""
    phases = [Phase(phase.start, phase.stop, phase.run) for phase in plan.phases]
    return _filled(plan.graph, plan.precision, plan.steps, phases, tile, align)


def _plan(
    graph: Graph, numbers: Precision, steps: list[Step], cuts: Sequence[int], tile: int | None, align: int
) -> StreamPlan:
    edges = [1, *cuts, len(steps)]
    phases = [Phase(a, b, run_rows(steps, a, b, record=True)) for a, b in pairwise(edges)]
    return _filled(graph, numbers, steps, phases, tile, align)


def _filled(
    graph: Graph, numbers: Precision, steps: list[Step], phases: list[Phase], tile: int | None, align: int
) -> StreamPlan:
    """The buffers of the phases, at their places."""
    phase_of = [0] * len(steps)
    for number, phase in enumerate(phases):
        for index in range(phase.start, phase.stop):
            phase_of[index] = number
    buffers: list[Buffer] = []
    for step in steps:
        born = phase_of[step.index]
        dies = max((phase_of[reader.index] for reader in step.readers), default=born)
        size = step.width * step.channels * numbers.activation
        if dies > born:
            buffers.append(_row_buffer(step, MAP, step.rows, step.width, size * step.rows, born, dies))
        else:
            buffers += _rows_of(step, phases[born].run, born, numbers, tile)
        for held in step.held:
            size = numbers.held_bytes(held)
            name = f"{step.name}: {held.name}"
            buffers.append(
                Buffer(name, HELD, step, held.rows, held.width, held.channels, held.number, size, born, born)
            )
    _place(phases, buffers, align)
    return StreamPlan(graph, numbers, steps, phases, buffers, tile, max(phase.bytes for phase in phases))


def _place(phases: list[Phase], buffers: list[Buffer], align: int) -> None:
    """Offsets: a phase's arriving rows among themselves, as one block; then the blocks and everything else."""
    blocks: list[tuple[int, int, int, list[Buffer]]] = []  # size, first and last phase, buffers
    for number, phase in enumerate(phases):
        arriving = [buffer for buffer in buffers if buffer.kind == ARRIVING and buffer.first == number]
        of_step = {buffer.step: index for index, buffer in enumerate(arriving)}
        flights = [[of_step[step] for step in flight if step in of_step] for flight in phase.run.flights]
        conflicts: list[set[int]] = [set() for _ in arriving]
        for flight in flights:
            for index in flight:
                conflicts[index].update(other for other in flight if other != index)
        most = max((sum(arriving[index].bytes for index in flight) for flight in flights), default=0)
        offsets = pack([buffer.bytes for buffer in arriving], conflicts, most, align=align)
        for buffer, offset in zip(arriving, offsets, strict=True):
            buffer.offset = offset
        size = max((buffer.offset + buffer.bytes for buffer in arriving), default=0)
        blocks.append((size, number, number, arriving))
        phase.live = most
    for buffer in buffers:
        if buffer.kind != ARRIVING:
            blocks.append((buffer.bytes, buffer.first, buffer.last, [buffer]))
            for number in range(buffer.first, buffer.last + 1):
                phases[number].live += buffer.bytes
    overlaps = [
        {j for j, b in enumerate(blocks) if j != i and not (a[2] < b[1] or b[2] < a[1])} for i, a in enumerate(blocks)
    ]
    # Maps that are handed from phase to phase take turns at both ends; what a phase needs for itself lies between.
    high = [last > first and first % 2 == 1 for _, first, last, _ in blocks]
    bound = max(phase.live for phase in phases)
    offsets = pack([block[0] for block in blocks], overlaps, bound, high=high, align=align)
    for block, offset in zip(blocks, offsets, strict=True):
        for buffer in block[3]:
            buffer.offset += offset
    for number, phase in enumerate(phases):
        phase.bytes = max((b.offset + b.bytes for b in buffers if b.first <= number <= b.last), default=0)


def _rows_of(step: Step, run: RowRun, phase: int, numbers: Precision, tile: int | None) -> list[Buffer]:
    """The ring of a value and the buffer of its arriving row."""
    counted = run.occupancy[step]
    arriving = counted.peak > counted.rest
    kept = counted.peak - arriving
    pixel = step.channels * numbers.activation
    found = []
    if kept:
        found.append(_row_buffer(step, RING, kept, step.width, kept * step.width * pixel, phase, phase))
    if arriving:
        width = step.width
        if tile is not None:
            reads = [read for reader in step.readers for read in reader.reads if read.source is step]
            width = min(width, tile + max((read.columns for read in reads), default=1) - 1)
        found.append(_row_buffer(step, ARRIVING, 1, width, width * pixel, phase, phase))
    return found


def _row_buffer(step: Step, kind: str, rows: int, width: int, size: int, first: int, last: int) -> Buffer:
    return Buffer(f"{step.name}: {kind}", kind, step, rows, width, step.channels, "activation", size, first, last)


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
