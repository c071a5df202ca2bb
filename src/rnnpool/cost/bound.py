"""A lower bound on the memory of any execution that computes every row once, with its proof.

Model: the steps of the plan are executed a row at a time, each row once, those of one value from the top, in any order
that their inputs allow, from inputs that are all in memory; the image arrives row by row and is not there again; an
operator that takes rows in (pooling, RNNPool) may do so one by one. Between two computations, let X be what has been
computed: memory then holds every row in X that something outside X still reads. At a chosen moment some rows must be in
X and some cannot be:
- when image row t has just arrived, no row that depends on a later one is in X;
- when row r of a value has just been made, all that it depends on is in X, and nothing that depends on row r + 1;
- when a global operator (the squeeze of squeeze-and-excitation) has just finished, nothing that depends on it is in X.
The cheapest X for such a moment is a minimum cut. Its value equals that of a maximum flow, which is checked edge by
edge: the bound is proved each time it is computed. Rows are whole here; where ``tile`` lets a plan hold parts of a row,
the bound does not apply.
"""

from dataclasses import dataclass

from rnnpool.cost.maxflow import ENDLESS, FlowNetwork
from rnnpool.cost.precision import Precision
from rnnpool.cost.steps import NEVER, Step
from rnnpool.cost.stream import StreamPlan

EFFORT = 30_000  # rows of the network times moments, beyond which fewer moments are tried
MOST_MOMENTS = 16


@dataclass(frozen=True)
class Bound:
    """``bytes`` and the moment at which they are needed, in words."""

    bytes: int
    moment: str


@dataclass
class _Rows:
    """The row graph: item i weighs ``weight[i]`` bytes, is read by ``readers[i]`` and reads ``reads[i]``."""

    weight: list[int]
    reads: list[list[int]]
    readers: list[list[int]]
    made: dict[tuple[Step, int], int]  # output rows
    image: int  # items 0 .. image - 1 are the image's rows


def lower_bound(plan: StreamPlan) -> Bound:
    """The largest bound over the moments; AssertionError if a plan of whole rows were below it."""
    rows = _row_graph(plan.steps, plan.precision)
    tries = max(2, min(MOST_MOMENTS, EFFORT // len(rows.weight)))
    bounds = []
    arrivals = {rows.image // 2, rows.image - 2}
    bounds += [_bound(rows, f"image row {t + 1} has arrived", set(range(t + 1)), {t + 1}) for t in arrivals if t >= 0]
    tall = [step for step in plan.steps[1:] if step.rows > 2]
    for step in tall[:: -(-len(tall) // tries) or 1]:
        row = step.rows // 2
        above, below = rows.made[step, row], rows.made[step, row + 1]
        bounds.append(_bound(rows, f"row {row + 1} of {step.name} has been made", {above}, {below}))
    for step in plan.steps:
        if step.whole:
            item = rows.made[step, 0]
            bounds.append(_bound(rows, f"{step.name} has finished", {item}, set(rows.readers[item])))
    best = max(bounds, key=lambda bound: bound.bytes, default=Bound(0, "none"))
    if plan.tile is None and plan.peak < best.bytes:
        raise AssertionError(f"a plan of {plan.peak} bytes lies below the bound {best.bytes}: one of them is wrong")
    return best


def _row_graph(steps: list[Step], numbers: Precision) -> _Rows:
    weight: list[int] = []
    reads: list[list[int]] = []
    made: dict[tuple[Step, int], int] = {}
    for step in steps:
        row = step.width * step.channels * numbers.activation
        sources: list[set[int]] = [set() for _ in range(step.takes or step.rows)]
        for read in step.reads:
            for act, (first, last) in enumerate(zip(read.first, read.last, strict=True)):
                if last != NEVER:
                    sources[act] |= {made[read.source, each] for each in range(first, last + 1)}
        begin = len(weight)
        if step.takes:
            for act, found in enumerate(sources):
                reads.append(sorted(found | ({begin + act - 1} if act else set())))
                weight.append(_held_bytes(step, act, numbers))
            for output, act in enumerate(step.after):
                made[step, output] = len(weight)
                reads.append([begin + act])
                weight.append(row)
        else:
            for output, found in enumerate(sources):
                made[step, output] = len(weight)
                reads.append(sorted(found))
                weight.append(row)
    readers: list[list[int]] = [[] for _ in weight]
    for item, items in enumerate(reads):
        for source in items:
            readers[source].append(item)
    return _Rows(weight, reads, readers, made, steps[0].rows)


def _held_bytes(step: Step, act: int, numbers: Precision) -> int:
    """What an operator cannot do without after an act, until the next: the windows then open, and their rows."""
    still_open = [first for first, last in zip(step.opens, step.after, strict=True) if first <= act < last]
    total = 0
    for held in step.held:
        rows = {"window": len(still_open), "row": act + 1 - min(still_open, default=act + 1), "always": 1, "act": 0}
        total += min(held.rows, rows[held.per]) * held.width * held.channels * numbers.bytes(held.number)
    return total


def _bound(rows: _Rows, moment: str, inside: set[int], outside: set[int]) -> Bound:
    """The least that memory holds at a moment when ``inside`` has been computed and ``outside`` has not."""
    inside, outside = _closed(inside, rows.reads), _closed(outside, rows.readers)
    count = len(rows.weight)
    # Vertices: item, then its copy. Item -> copy is cut where an item is kept; copy -> reader where one is missing.
    source, sink = 2 * count, 2 * count + 1
    flow = FlowNetwork(2 * count + 2)
    vertex = [source if item in inside else sink if item in outside else item for item in range(count)]
    for item in range(count):
        if item in outside:
            continue
        if item not in inside:  # computed only if what it reads is
            for read in rows.reads[item]:
                if read not in inside:
                    flow.add(item, read, ENDLESS)
        if missing := [reader for reader in rows.readers[item] if reader not in inside]:
            flow.add(vertex[item], count + item, rows.weight[item])
            for reader in missing:
                flow.add(count + item, vertex[reader], ENDLESS)
    value = flow.solve(source, sink)
    flow.check(source, sink, value)
    return Bound(value, moment)


def _closed(items: set[int], edges: list[list[int]]) -> set[int]:
    """The items and everything that follows from them along the edges."""
    found, waiting = set(items), list(items)
    while waiting:
        for other in edges[waiting.pop()]:
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found
