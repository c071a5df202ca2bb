"""Least memory without recomputation by the paper's propositions, and the best partition into runs of layers.

Saha et al. 2020, appendix E.1. A run of layers whose output is m x n, computed row by row, holds of every value q
inside it at least c_q * k'_q * min(s_q m - 1, s_q n - 1) numbers: a node of the output sees K_q x K_q nodes of the
value, neighbouring outputs see it shifted by s_q, the product of the strides between, and k'_q = K_q - s_q (2 k_q for
stride 1, where K_q = 2 k_q + 1: Proposition 1). The run's input and output are whole maps beside that; a run of one
block is counted by the standard convention. The partition with the smallest largest run is found by dynamic
programming.

Read literally the proposition is no lower bound for several layers: K_q grows with every layer of the run, though rows
in rings need only the next layer's window (``stream``). ``bound.lower_bound`` is the bound to trust.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from rnnpool.cost.count import as_graph
from rnnpool.cost.precision import precision
from rnnpool.cost.standard import Block, standard_peak
from rnnpool.graph import Graph, Node
from rnnpool.graph.op import as_map


@dataclass(frozen=True)
class Partition:
    """``runs`` of blocks, the numbers each needs, and the largest in bytes."""

    runs: tuple[tuple[Block, ...], ...]
    numbers: tuple[int, ...]
    peak: int


def best_partition(
    network: nn.Module | Graph, input_shape: Sequence[int] | None = None, *, dtype: str = "float32"
) -> Partition:
    """The partition of least peak; see ``rnnpool.cost.standard.standard_peak`` for arguments and errors."""
    graph = as_graph(network, input_shape)
    blocks = standard_peak(graph, dtype=dtype).blocks
    best: list[tuple[int, int]] = [(0, 0)]  # up to block i: peak, where the last run begins
    for stop in range(1, len(blocks) + 1):
        options = []
        for start in range(stop - 1, -1, -1):
            run = run_numbers(graph, blocks[start:stop])
            if run is None:
                break
            options.append((max(best[start][0], run), start))
        best.append(min(options))
    cuts = [len(blocks)]
    while cuts[-1]:
        cuts.append(best[cuts[-1]][1])
    edges = cuts[::-1]
    runs = tuple(tuple(blocks[a:b]) for a, b in pairwise(edges))
    numbers = tuple(run_numbers(graph, run) or 0 for run in runs)
    return Partition(runs, numbers, best[-1][0] * precision(dtype).activation)


def run_numbers(graph: Graph, run: Sequence[Block]) -> int | None:
    """Numbers that a run of blocks holds by the formula; None where a layer inside needs a whole map."""
    if len(run) == 1:
        return run[0].numbers
    nodes = [node for block in run for node in block.nodes]
    output = run[-1].output
    if (
        any(node.op.whole() for node in nodes)
        or len(output.shape) != 3
        or any(block.kind == "rnnpool" for block in run)
    ):
        return None
    _, height, width = as_map(output.shape)
    sees = _windows(nodes, output)
    total = output.size + (0 if run[0].source is graph.image else run[0].source.size)
    for block in run[:-1]:
        kernel, stride = sees[block.output]
        channels = block.output.shape[0]
        total += channels * max(0, kernel - stride) * min(stride * height - 1, stride * width - 1)
    return total


def _windows(nodes: Sequence[Node], output: Node) -> dict[Node, tuple[int, int]]:
    """For every node, how many of its rows one row of the output sees away from the borders, and the step between."""
    found: dict[Node, tuple[int, int]] = {output: (1, 1)}
    for node in reversed(nodes):
        if node not in found:
            continue
        kernel, stride = found[node]
        own = getattr(node.op, "kernel", (1, 1))[0]
        step = getattr(node.op, "stride", (1, 1))[0]
        dilation = getattr(node.op, "dilation", (1, 1))[0]
        seen = (kernel - 1) * step + dilation * (own - 1) + 1, stride * step
        for source in node.inputs:
            before = found.get(source, seen)
            found[source] = max(seen[0], before[0]), max(seen[1], before[1])
    return found
