"""A lower bound on the memory of any execution that computes every row once, with its proof.

Model: the steps of the plan are executed a row at a time, each row once, those of one value from the top, in any order
that their inputs allow, from inputs that are all in memory; the image arrives row by row and is not there again; an
operator that takes rows in (pooling, RNNPool) may do so one by one. Let X be what has been computed: memory then holds
every row in X that something outside X still reads. At a chosen moment some rows must be in X and some cannot be:
- while row r of a value is being made, the rows that it is computed from are in X, and so are the rows of the value
  above it; it is not, nor is anything that depends on it. Beside X there is memory for the row itself.
- ``resting_bound``: when row r has just been made, all that it depends on is in X, and nothing that depends on row
  r + 1. This holds as well for kernels that write a row over one that they read, as some of the C runtime do.
The cheapest X for such a moment is a minimum cut. Its value equals that of a maximum flow, which is checked edge by
edge: the bound is proved each time it is computed. Rows are whole here; where ``tile`` lets a plan hold parts of a row,
the bound does not apply.

The plan itself is such an execution. So no moment can prove more than the plan uses in it, and moments are tried in the
order of what it uses, until none is left that could prove more than was found, or effort ends.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rnnpool.cost.maxflow import ENDLESS, FlowNetwork
from rnnpool.cost.precision import Precision
from rnnpool.cost.steps import NEVER, Step
from rnnpool.cost.stream import StreamPlan

EFFORT = 60_000  # rows of the network times moments
FEWEST = 6  # moments that are tried in any case
ROWS_OF_A_STEP = 5  # where in a map moments are looked for, beside the plan's fullest


@dataclass(frozen=True)
class Bound:
    """``bytes`` and the moment at which they are needed, in words."""

    bytes: int
    moment: str


@dataclass
class _Rows:
    """The row graph: item i weighs ``weight[i]`` bytes and comes after the items ``after[i]``; ``before[i]`` the other
    way round.

    The rows of a step come one after the other. So of the rows that an item reads of one value, only the last is in
    ``after``; and of the items of one step that read it, only the last is in ``readers``: when that is computed, all
    are, and until then the item is kept.
    """

    weight: list[int]
    readers: list[list[int]]
    after: list[list[int]]
    before: list[list[int]]
    made: dict[tuple[Step, int], int]  # output rows


def lower_bound(plan: StreamPlan, *, effort: int = EFFORT) -> Bound:
    """The largest bound over the moments that were tried; AssertionError if a plan of whole rows were below it."""
    rows = _row_graph(plan.steps, plan.precision)
    used = plan.used
    moments = []  # what the plan uses, the row's item, its step and number
    for step in plan.steps:
        made = plan.lives.made[step]
        places = range(0, step.rows, max(1, step.rows // ROWS_OF_A_STEP))
        fullest = max(range(step.rows), key=lambda row: (used[made[row]], -abs(row - step.rows // 2)))
        moments += [(used[made[row]], rows.made[step, row], step, row) for row in {*places, fullest, step.rows - 1}]
    moments.sort(key=lambda moment: (-moment[0], moment[1]))
    best = Bound(0, "none")
    for number, (most, item, step, row) in enumerate(moments):
        if most <= best.bytes or number >= max(FEWEST, effort // len(rows.weight)):
            break
        size = _least_kept(rows, set(rows.after[item]), {item}) + rows.weight[item]
        if size > best.bytes:
            what = "arrives" if step.index == 0 else "is being made"
            best = Bound(size, f"row {row + 1} of {step.name} {what}")
    if plan.tile is None and plan.peak < best.bytes:
        raise AssertionError(f"a plan of {plan.peak} bytes lies below the bound {best.bytes}: one of them is wrong")
    return best


def resting_bound(
    steps: Sequence[Step],
    numbers: Precision,
    *,
    beside: Collection[Step] = (),
    kept: Mapping[Step, int] | None = None,
    moments: int = 16,
) -> Bound:
    """The same between two rows of a step, for kernels that may write over what they read.

    Args:
        beside: steps that make their rows beside what they read all the same.
        kept: bytes that steps keep between the rows that they take in, instead of what ``Step.held`` says.
        moments: how many are tried.
    """
    rows = _row_graph(steps, numbers, kept)
    best = Bound(0, "none")
    tall = [step for step in steps if step.rows > 2]
    for step in tall[:: -(-len(tall) // moments) or 1]:
        row = step.rows // 2
        if step in beside:
            item = rows.made[step, row]
            size, what = _least_kept(rows, set(rows.after[item]), {item}) + rows.weight[item], "is being made"
        else:
            size = _least_kept(rows, {rows.made[step, row]}, {rows.made[step, row + 1]})
            what = "has been made"
        if size > best.bytes:
            best = Bound(size, f"row {row + 1} of {step.name} {what}")
    return best


def _row_graph(steps: Sequence[Step], numbers: Precision, kept: Mapping[Step, int] | None = None) -> _Rows:
    weight: list[int] = []
    readers: list[list[int]] = []
    after: list[list[int]] = []
    made: dict[tuple[Step, int], int] = {}

    def add(size: int, sources: Collection[int]) -> int:
        weight.append(size)
        readers.append([])
        after.append(list(sources))
        return len(weight) - 1

    for step in steps:
        row = step.width * step.channels * numbers.activation
        items: list[int] = []  # the acts
        for act in range(step.takes or step.rows):
            size = row
            if step.takes:
                last = act == step.takes - 1  # nothing need be kept behind it
                size = _held_bytes(step, act, numbers) if kept is None else 0 if last else kept.get(step, 0)
            found = {made[read.source, read.last[act]] for read in step.reads if read.last[act] != NEVER}
            items.append(add(size, {*found, *items[-1:]}))
        for read in step.reads:
            windows = zip(items, read.first, read.last, strict=True)
            final = {each: item for item, first, last in windows for each in range(first, last + 1)}
            for each, item in final.items():
                readers[made[read.source, each]].append(item)
        if step.takes:
            for before, item in pairwise(items):
                readers[before].append(item)
            outputs: list[int] = []
            for act in step.after:
                outputs.append(add(row, {items[act], *outputs[-1:]}))
            for act, item in dict(zip(step.after, outputs, strict=True)).items():
                readers[items[act]].append(item)
            items = outputs
        made.update({(step, number): item for number, item in enumerate(items)})
    return _Rows(weight, readers, after, _turned(after), made)


def _turned(edges: list[list[int]]) -> list[list[int]]:
    """The edges in the other direction."""
    found: list[list[int]] = [[] for _ in edges]
    for item, items in enumerate(edges):
        for other in items:
            found[other].append(item)
    return found


def _held_bytes(step: Step, act: int, numbers: Precision) -> int:
    """What an operator cannot do without after an act, until the next: the windows then open, and their rows."""
    still_open = [first for first, last in zip(step.opens, step.after, strict=True) if first <= act < last]
    total = 0
    for held in step.held:
        rows = {"window": len(still_open), "row": act + 1 - min(still_open, default=act + 1), "always": 1, "act": 0}
        total += min(held.rows, rows[held.per]) * held.width * held.channels * numbers.bytes(held.number)
    return total


def _least_kept(rows: _Rows, inside: set[int], outside: set[int]) -> int:
    """The least that memory holds at a moment when ``inside`` has been computed and ``outside`` has not."""
    inside, outside = _closed(inside, rows.after), _closed(outside, rows.before)
    # An item's edge to its reader is cut where it is kept; with several readers there is one to a vertex of its own
    # instead, and from there to each. What has been computed is the source, what has not the sink.
    free = [item for item in range(len(rows.weight)) if item not in inside and item not in outside]
    vertex = {item: number for number, item in enumerate(free)}
    flow = FlowNetwork(len(free) + 2)
    source, sink = len(free), len(free) + 1
    sure = 0
    for item in (*inside, *free):
        if not (size := rows.weight[item]):
            continue
        missing = [vertex[reader] for reader in rows.readers[item] if reader in vertex]
        late = any(reader in outside for reader in rows.readers[item])
        if item in inside and late:
            sure += size
        elif late:
            flow.add(vertex[item], sink, size)
        elif missing:
            own = flow.add_vertex() if len(missing) > 1 else missing[0]
            flow.add(vertex.get(item, source), own, size)
            if len(missing) > 1:
                for reader in missing:
                    flow.add(own, reader, ENDLESS)
    for item in free:
        for other in rows.after[item]:  # computed only if what comes before it is
            if other in vertex:
                flow.add(vertex[item], vertex[other], ENDLESS)
    value = flow.solve(source, sink)
    flow.check(source, sink, value)
    return sure + value


def _closed(items: set[int], edges: list[list[int]]) -> set[int]:
    """The items and everything that follows from them along the edges."""
    found, waiting = set(items), list(items)
    while waiting:
        for other in edges[waiting.pop()]:
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found
