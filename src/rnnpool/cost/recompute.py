"""What it costs in multiply-adds to fit a given RAM by computing things again (Saha et al. 2020, appendix E.3).

The layers up to some value are computed patch by patch: the value is cut into g x g patches, and for each the part of
the image that it depends on goes through the layers anew, halos included. Memory is the value, whole, and beside it the
largest input and output of one patch's layers; behind it the network runs as the standard convention has it. The fewest
multiply-adds over all values and grids that fit are reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from rnnpool.cost.count import as_graph
from rnnpool.cost.precision import precision
from rnnpool.cost.standard import Block, standard_peak
from rnnpool.graph import Graph, Node
from rnnpool.graph.op import Op, as_map
from rnnpool.graph.ops import Conv, Nearest, Pad, Pool, RNNPool, Slice

GRIDS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 28)
Span = tuple[int, int]  # first and last row, or column


@dataclass(frozen=True)
class Recomputed:
    """The cheapest way found: ``value`` computed in ``grid`` x ``grid`` patches (None: nothing is recomputed)."""

    value: Node | None
    grid: int
    peak: int
    madds: int


def fit_by_recomputing(
    network: nn.Module | Graph, ram: int, input_shape: Sequence[int] | None = None, *, dtype: str = "float32"
) -> Recomputed | None:
    """The fewest multiply-adds (the paper's count) within ``ram`` bytes, or None where no grid fits."""
    graph = as_graph(network, input_shape)
    bytes_of = precision(dtype).activation
    standard = standard_peak(graph, dtype=dtype)
    found = []
    if standard.peak <= ram:
        found.append(Recomputed(None, 1, standard.peak, graph.madds.paper))
    blocks = standard.blocks
    for count in range(1, len(blocks)):
        behind = max(block.numbers for block in blocks[count:]) * bytes_of
        value = blocks[count - 1].output
        if behind > ram or value.size * bytes_of > ram or len(value.shape) != 3 or value.shape[1] == 1:
            continue
        for grid in GRIDS:
            if grid > min(value.shape[1:]):
                break
            tried = _patches(graph, blocks[:count], grid)
            if tried is None:
                break
            patch, madds = tried
            peak = max(behind, (value.size + patch) * bytes_of)
            if peak <= ram:
                found.append(Recomputed(value, grid, peak, madds))
                break  # finer grids cost more
    return min(found, key=lambda each: each.madds) if found else None


def _patches(graph: Graph, blocks: Sequence[Block], grid: int) -> tuple[int, int] | None:
    """Numbers that the largest patch needs beside the value, and the multiply-adds of the whole network; None if a
    layer among them needs a whole map."""
    nodes = [node for block in blocks for node in block.nodes]
    if any(node.op.whole() or isinstance(node.op, RNNPool) for node in nodes):
        return None
    value = nodes[-1]
    rows = [_spans(nodes, value, graph, _part(value.shape[1], grid, k), axis=0) for k in range(grid)]
    columns = [_spans(nodes, value, graph, _part(value.shape[2], grid, k), axis=1) for k in range(grid)]
    once = sum(node.madds.paper for node in nodes)
    again = 0
    for node in nodes:
        full = node.shape[1] * node.shape[2]
        area = sum(_length(r[node]) for r in rows) * sum(_length(c[node]) for c in columns)
        again += node.madds.paper * area // full
    most = 0
    for r in rows:
        for c in columns:
            for block in blocks:
                source = 0 if block.source is graph.image else _numbers(block.source, r, c)
                output = 0 if block.output is value else _numbers(block.output, r, c)
                joined = block.kind == "inverted residual"
                most = max(most, source + output if joined else max(source, output))
    return most, graph.madds.paper - once + again


def _part(size: int, grid: int, index: int) -> Span:
    return index * size // grid, (index + 1) * size // grid - 1


def _length(span: Span) -> int:
    return max(0, span[1] - span[0] + 1)


def _numbers(node: Node, rows: dict[Node, Span], columns: dict[Node, Span]) -> int:
    return as_map(node.shape)[0] * _length(rows[node]) * _length(columns[node])


def _spans(nodes: Sequence[Node], value: Node, graph: Graph, span: Span, axis: int) -> dict[Node, Span]:
    """What a span of the value depends on in every node before it, along rows (axis 0) or columns (1)."""
    found: dict[Node, Span] = {value: span}
    for node in reversed(nodes):
        if node not in found:
            found[node] = (0, -1)
            continue
        first, last = found[node]
        for which, source in enumerate(node.inputs):
            begin, end = _reads(node, which, first, axis)[0], _reads(node, which, last, axis)[1]
            before = found.get(source, (begin, end))
            found[source] = min(begin, before[0]), max(end, before[1])
    found.setdefault(graph.image, (0, -1))
    return found


def _reads(node: Node, which: int, row: int, axis: int) -> Span:
    """Rows or columns of an input: columns by the operator's rule for rows, on the transposed problem."""
    if axis == 0:
        return node.op.rows(row, which, node.input_shapes, node.shape)
    op = node.op
    if isinstance(op, Conv | Pool):
        turned: Op = replace(op, kernel=op.kernel[::-1], stride=op.stride[::-1], padding=op.padding[::-1])
    elif isinstance(op, Nearest):
        turned = replace(op, factor=op.factor[::-1])
    elif isinstance(op, Pad):
        turned = replace(op, sides=(*op.sides[2:], *op.sides[:2]))
    elif isinstance(op, Slice):
        turned = replace(op, ranges=(op.ranges[0], *op.ranges[:0:-1]))
    else:
        turned = op
    shapes = [(shape[0], *shape[:0:-1]) for shape in node.input_shapes]
    return turned.rows(row, which, shapes, (node.shape[0], *node.shape[:0:-1]))
