"""Peak RAM by the paper's standard convention (Chowdhery et al. 2019; Saha et al. 2020, appendix E.2).

Layer by layer, the largest memory of any block, where
- an inverted residual (1x1, depthwise, linear 1x1) costs its input and output, its expansion nothing;
- a convolution, a depthwise followed by a 1x1, a pooling and a residual block cost the larger of input and output (for
  convolutions that is what gives the paper's 1.76 MB of RNNPool-Face-B), the image being free;
- a dense block costs its output, an inception block its input and the three smallest of its outputs;
- RNNPool costs its output alone, and a stem of plain convolutions between the image and it nothing (computed patch by
  patch); an RNNPool at the end of a network does not make the network before it free;
- heads and predictors cost nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from rnnpool.cost.count import as_graph
from rnnpool.cost.precision import precision
from rnnpool.graph import Graph, Node
from rnnpool.graph.ops import Activation, Add, Concat, Conv, GlobalPool, Linear, Pool, RNNPool


@dataclass(frozen=True)
class Block:
    """Nodes between two values through which everything passes, and what the convention counts for them."""

    kind: str
    nodes: tuple[Node, ...]
    source: Node
    numbers: int

    @property
    def output(self) -> Node:
        return self.nodes[-1]

    @property
    def name(self) -> str:
        """Of the last node that a module made: a function's says nothing about where it is."""
        return next((node.name for node in reversed(self.nodes) if node.path), self.output.name)


@dataclass(frozen=True)
class StandardPeak:
    """The blocks, and the peak in bytes; ``block`` is where it is reached."""

    blocks: tuple[Block, ...]
    block: Block
    peak: int


def standard_peak(
    network: nn.Module | Graph, input_shape: Sequence[int] | None = None, *, dtype: str = "float32"
) -> StandardPeak:
    """The convention's peak of a network; the paper takes float32, and int8 for quantised models."""
    graph = as_graph(network, input_shape)
    blocks = _counted(_merged(_blocks(graph)), graph)
    largest = max(blocks, key=lambda block: block.numbers)
    return StandardPeak(tuple(blocks), largest, largest.numbers * precision(dtype).activation)


def _trunk(graph: Graph) -> list[Node]:
    """What the deepest output is computed from: of a detector, the layers without the predictors of other levels.

    The deepest has most nodes before it, of equals the last in the graph: not in the order of the outputs, which may be
    any.
    """
    outputs = set(graph.outputs)
    trunks = [_before(node) for node in graph if node in outputs]
    needed = max(reversed(trunks), key=len)  # max takes the first of equals
    return [node for node in graph if node in needed]


def _before(output: Node) -> set[Node]:
    """A node and all that it is computed from."""
    needed, waiting = set(), [output]
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting += node.inputs
    return needed


def _blocks(graph: Graph) -> list[list[Node]]:
    """The trunk cut wherever a single value crosses; norms and activations belong to what they follow."""
    trunk = _trunk(graph)
    place = {node: index for index, node in enumerate(trunk)}
    last = [max((place[reader] for reader in graph.consumers(node) if reader in place), default=-1) for node in trunk]
    blocks: list[list[Node]] = []
    open_until, block = last[0], []
    for index, node in enumerate(trunk[1:], start=1):
        block.append(node)
        if open_until <= index:  # from here on nobody reads an earlier value than this one
            if len(block) == 1 and (node.op.in_place or node.op.view) and len(node.inputs) == 1 and blocks:
                blocks[-1].append(node)
            else:
                blocks.append(block)
            block = []
        open_until = max(open_until, last[index])
    return blocks


def _merged(blocks: list[list[Node]]) -> list[list[Node]]:
    """Inverted residuals without a residual, and depthwise-pointwise pairs, are several blocks so far: joined."""
    merged: list[list[Node]] = []
    index = 0
    while index < len(blocks):
        length = _run_length(blocks[index:])
        merged.append([node for block in blocks[index : index + length] for node in block])
        index += length
    return merged


def _run_length(blocks: list[list[Node]]) -> int:
    """How many of the blocks, from the first, form one [1x1,] depthwise, [excitation,] 1x1 [, linear 1x1]."""
    kinds = [
        "1x1" if _is(block, "1x1") else "dw" if _is(block, "dw") else "se" if _excites(block) else ""
        for block in blocks[:5]
    ]
    start = 1 if kinds[:2] == ["1x1", "dw"] else 0
    if kinds[start : start + 1] != ["dw"]:
        return 1
    after = start + 1
    if kinds[after : after + 1] == ["se"]:
        after += 1
    if kinds[after : after + 1] != ["1x1"]:
        return 1
    if start and not _linear(blocks[after]):
        return 1  # a 1x1 layer that precedes a depthwise-pointwise pair
    if (
        not start
        and not _linear(blocks[after])
        and kinds[after + 1 : after + 2] == ["1x1"]
        and _linear(blocks[after + 1])
        and _linear(blocks[0])
    ):
        return after + 2  # depthwise first, then the expansion and the linear projection
    return after + 1


def _is(block: list[Node], kind: str) -> bool:
    op = block[0].op
    if not isinstance(op, Conv) or not all(node.op.in_place and len(node.inputs) == 1 for node in block[1:]):
        return False
    return op.depthwise if kind == "dw" else op.pointwise and op.groups == 1


def _linear(block: list[Node]) -> bool:
    return not any(isinstance(node.op, Activation) for node in block)


def _excites(block: list[Node]) -> bool:
    return any(isinstance(node.op, GlobalPool) for node in block) and block[-1].kind == "mul"


def _counted(blocks: list[list[Node]], graph: Graph) -> list[Block]:
    first_pool = next((index for index, block in enumerate(blocks) if any(isinstance(n.op, RNNPool) for n in block)), 0)
    plain = all(_kind(block, graph.image) == "conv" for block in blocks[:first_pool])  # a stem, not a whole network
    counted = []
    source = graph.image
    for index, nodes in enumerate(blocks):
        kind = _kind(nodes, source)
        numbers = (
            0 if plain and index < first_pool else _numbers(kind, nodes, 0 if source is graph.image else source.size)
        )
        counted.append(Block(kind, tuple(nodes), source, numbers))
        source = nodes[-1]
    return counted


def _kind(nodes: list[Node], source: Node) -> str:
    ops = [node.op for node in nodes]
    convs = [op for op in ops if isinstance(op, Conv)]
    if any(isinstance(op, RNNPool) for op in ops):
        return "rnnpool"
    joins = [node for node in nodes if isinstance(node.op, Concat)]
    if joins:  # a dense block keeps what it was given; an inception block's branches all compute
        return "dense" if len(joins) > 1 or source in joins[0].inputs else "inception"
    if any(op.depthwise for op in convs) and len(convs) > 1:
        # Without a linear end it is MobileNetV1's pair, which writes each pixel over the pixel that it read.
        tail = nodes[max(index for index, op in enumerate(ops) if isinstance(op, Conv)) :]
        return "separable" if any(isinstance(node.op, Activation) for node in tail) else "inverted residual"
    if any(isinstance(op, Add) for op in ops):
        return "residual"
    if isinstance(ops[0], Conv):
        return "1x1" if ops[0].pointwise else "depthwise" if ops[0].depthwise else "conv"
    if isinstance(ops[0], Pool | GlobalPool):
        return "pool"
    return "linear" if isinstance(ops[0], Linear) else ops[0].kind


def _numbers(kind: str, nodes: list[Node], source: int) -> int:
    output = nodes[-1].size
    if kind == "rnnpool" or kind == "dense":
        return output
    if kind == "inception":
        joined = next(node for node in nodes if isinstance(node.op, Concat))
        return source + sum(sorted(branch.size for branch in joined.inputs)[:3])
    if kind == "inverted residual":
        return source + output
    return max(source, output)
