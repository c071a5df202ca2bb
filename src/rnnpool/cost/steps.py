"""A graph as the steps of an execution: what is computed together, and which rows of which stored values it reads.

Stored values are fewer than nodes. A view (crop, concatenation, padding, enlargement) is read through. An operator that
may work in place joins the step that makes its input, if nobody else reads that: the activation and batch norm behind a
convolution, the residual sum behind the last convolution of a block.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rnnpool.graph import Graph, Held, Node
from rnnpool.graph.op import as_map

NEVER = -1  # "last row needed" of a read that needs none


@dataclass(eq=False)
class Read:
    """One stored value as a step reads it: for its i-th act (a row computed or taken in) rows first[i]..last[i].

    ``first`` and ``last`` never decrease with i; last[i] is NEVER where act i reads nothing (padding).
    """

    source: Step
    first: list[int]
    last: list[int]
    columns: int = 1  # width of the window in columns, which decides how much of a row must be there at once


@dataclass(eq=False)
class Step:
    """Nodes computed together, and the one value they leave.

    A step acts once an output row, reading rows kept for it; or, if it takes rows in (``takes`` > 0: pooling, RNNPool,
    global pooling), once an input row, holding ``held`` meanwhile, and gives output row i after act after[i].
    """

    index: int
    nodes: list[Node]
    reads: list[Read]
    held: tuple[Held, ...] = ()
    takes: int = 0
    after: list[int] = field(default_factory=list)
    opens: list[int] = field(default_factory=list)  # for each output row the first act that counts towards it
    readers: list[Step] = field(default_factory=list)
    available: list[int] = field(default_factory=list)  # per output row: the image row it has to wait for
    width: int = 0

    @property
    def node(self) -> Node:
        """The last node: its value is the stored one."""
        return self.nodes[-1]

    @property
    def name(self) -> str:
        return self.nodes[0].name

    @cached_property  # nodes that join have the same shape
    def rows(self) -> int:
        return as_map(self.node.shape)[1]

    @cached_property
    def channels(self) -> int:
        return as_map(self.node.shape)[0]

    @property
    def whole(self) -> bool:
        """Whether no output row exists before the last input row is there."""
        return any(node.op.whole() for node in self.nodes)

    def __repr__(self) -> str:
        return f"<step {self.index} {self.name}>"


def build_steps(graph: Graph) -> list[Step]:
    """The steps in an order in which they can run; the first is the image, which only arrives."""
    return _sorted(_Builder(graph).steps)


def _sorted(steps: list[Step]) -> list[Step]:
    """In an order in which they can run: a sum that joined an early step may read a later one.

    What leads to an output and nowhere else, such as a detector's predictors, comes as soon as it can, the shortest
    first: whole maps need not wait for it behind everything else. The rest stays as the network has it.
    """
    unmet = {step: {read.source for read in step.reads} for step in steps}
    tails = _tails(steps)
    keys = {step: (tails.get(step, len(steps)), step.index) for step in steps}
    ready = [(keys[step], step) for step in steps if not unmet[step]]
    ordered: list[Step] = []
    while ready:
        _, step = heapq.heappop(ready)
        ordered.append(step)
        for reader in step.readers:
            unmet[reader].discard(step)
            if not unmet[reader]:
                heapq.heappush(ready, (keys[reader], reader))
    for index, step in enumerate(ordered):
        step.index = index
    return ordered


def _tails(steps: Sequence[Step]) -> dict[Step, int]:
    """Steps with nothing behind them that other steps lead to as well; and with how many steps that goes on."""
    found: dict[Step, int] = {}
    unread = {step: len(step.readers) for step in steps}
    waiting = [step for step in steps if not unread[step]]
    while waiting:
        step = waiting.pop()
        sources = dict.fromkeys(read.source for read in step.reads)
        if all(reader in found and {read.source for read in reader.reads} == {step} for reader in step.readers):
            found[step] = 1 + sum(found[reader] for reader in step.readers)
        for source in sources:
            unread[source] -= 1
            if not unread[source]:
                waiting.append(source)
    return found


class _Builder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps: list[Step] = []
        self.maker: dict[Node, Step] = {}  # of stored values
        for node in graph:
            if node is graph.image:
                step = Step(0, [node], [], width=as_map(node.shape)[2], available=list(range(as_map(node.shape)[1])))
                self.steps.append(step)
                self.maker[node] = step
            elif node.op.view:
                self._widen(node)
            elif (before := self._joins(node)) is not None:
                before.nodes.append(node)
                before.reads += self._reads(node, skip=before)
                self.maker[node] = before
                self._time(before)
            else:
                self._begin(node)
        for step in self.steps:
            for read in step.reads:
                if step not in read.source.readers:
                    read.source.readers.append(step)

    def _begin(self, node: Node) -> None:
        held = node.op.held(node.input_shapes, node.shape)
        step = Step(len(self.steps), [node], [], held, width=as_map(node.shape)[2])
        if held:
            height, rows = as_map(node.inputs[0].shape)[1], as_map(node.shape)[1]
            step.takes = height
            windows = [node.op.rows(row, 0, node.input_shapes, node.shape) for row in range(rows)]
            step.opens, step.after = [first for first, _ in windows], [last for _, last in windows]
            step.reads = self._collect(node.inputs[0], [(row, row) for row in range(height)])
        else:
            step.reads = self._reads(node)
        self.steps.append(step)
        self.maker[node] = step
        self._time(step)

    def _reads(self, node: Node, skip: Step | None = None) -> list[Read]:
        """What each output row of a node reads of every input, but the one that ``skip`` made."""
        found: list[Read] = []
        for which, source in enumerate(node.inputs):
            if skip is not None and self.maker.get(source) is skip:
                continue
            ranges = [node.op.rows(row, which, node.input_shapes, node.shape) for row in range(as_map(node.shape)[1])]
            reads = self._collect(source, ranges)
            for read in reads:
                read.columns = node.op.columns(node.input_shapes, node.shape)
            found += reads
        return found

    def _collect(self, source: Node, ranges: Sequence[tuple[int, int]]) -> list[Read]:
        """Ranges of rows of a node's value, as reads of the stored values that it consists of."""
        reads: dict[Step, Read] = {}
        for act, (first, last) in enumerate(ranges):
            touched: dict[Step, tuple[int, int]] = {}
            for row in range(first, last + 1):
                for step, low, high in self._trace(source, row):
                    before = touched.get(step, (low, high))
                    touched[step] = min(low, before[0]), max(high, before[1])
            for step, (low, high) in touched.items():
                read = reads.setdefault(step, Read(step, [0] * len(ranges), [NEVER] * len(ranges)))
                read.first[act], read.last[act] = low, high
        for read in reads.values():
            _fill_gaps(read)
        return list(reads.values())

    def _trace(self, node: Node, row: int) -> list[tuple[Step, int, int]]:
        """The stored values, with the range of their rows, that row ``row`` of a node's value is read from."""
        if node in self.maker:
            return [(self.maker[node], row, row)]
        found = []
        for which, source in enumerate(node.inputs):
            low, high = node.op.rows(row, which, node.input_shapes, node.shape)
            for between in range(low, high + 1):
                found += self._trace(source, between)
        return found

    def _behind(self, node: Node) -> list[Step]:
        """The stored values that a node's value is read from, whichever rows: a row of padding is read from none."""
        if node in self.maker:
            return [self.maker[node]]
        return [step for source in node.inputs for step in self._behind(source)]

    def _widen(self, view: Node) -> None:
        """Room for the columns that a padding adds to its input's rows."""
        source = view.inputs[0]
        if view.kind == "pad" and source in self.maker:
            self.maker[source].width = max(self.maker[source].width, as_map(view.shape)[2])

    def _joins(self, node: Node) -> Step | None:
        """The step whose value the node may overwrite, or None."""
        if not node.op.in_place:
            return None
        makers = [step for source in node.inputs for step in self._behind(source)]
        # With several operands only the last to become known can take the sum: the others are waiting already.
        last = max(makers, key=lambda step: (step.available[-1], step.available[len(step.available) // 2], step.index))
        source = last.node
        fits = source in node.inputs and source.shape == node.shape and self.maker.get(source) is last
        alone = len(self.graph.consumers(source)) == 1 and source not in self.graph.outputs
        if not fits or not alone or source is self.graph.image or (last.takes and len(node.inputs) > 1):
            return None
        return last

    def _time(self, step: Step) -> None:
        """When each output row becomes known, counted in rows of the image, if every step acts as soon as it can."""
        acts = [0] * (step.takes or step.rows)
        for read in step.reads:
            for act, last in enumerate(read.last):
                if last != NEVER:
                    acts[act] = max(acts[act], read.source.available[last])
        for act in range(1, len(acts)):
            acts[act] = max(acts[act], acts[act - 1])
        step.available = [acts[act] for act in step.after] if step.takes else acts


def _fill_gaps(read: Read) -> None:
    """Acts that read nothing keep what the acts around them need: ``first`` never decreases."""
    following = read.source.rows
    for act in range(len(read.first) - 1, -1, -1):
        if read.last[act] == NEVER:
            read.first[act] = following
        following = read.first[act] = min(read.first[act], following)
