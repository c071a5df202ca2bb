"""Batch norm folded into the convolution or linear layer before it, as every deployment does."""

from dataclasses import replace

from torch import Tensor

from rnnpool.graph.graph import Graph, Node
from rnnpool.graph.ops.affine import Affine, BatchNorm
from rnnpool.graph.ops.conv import Conv
from rnnpool.graph.ops.linear import Linear


def fold_batch_norm(graph: Graph) -> Graph:
    """The same function without batch norms; the tensors are new ones, through which gradients pass.

    A batch norm whose input is a convolution or linear layer that nobody else reads is merged into its weights; any
    other (after a concatenation, after RNNPool) becomes an ``Affine`` of its own.
    """
    mapped: dict[Node, Node] = {}
    nodes: list[Node] = []
    for node in graph:
        inputs = tuple(mapped[source] for source in node.inputs)
        if isinstance(node.op, BatchNorm):
            before = node.inputs[0]
            if (
                isinstance(before.op, Conv | Linear)
                and len(graph.consumers(before)) == 1
                and before not in graph.outputs
            ):
                merged = mapped[before]
                merged.op = _merged(before.op, node.op)
                mapped[node] = merged
                continue
            scale, offset = node.op.scale_offset()
            new = Node(node.name, Affine(scale, offset), inputs, node.shape, node.path)
        else:
            new = Node(node.name, node.op, inputs, node.shape, node.path)
        mapped[node] = new
        nodes.append(new)
    return Graph(graph.name, nodes, [mapped[output] for output in graph.outputs])


def _merged(op: Conv | Linear, norm: BatchNorm) -> Conv | Linear:
    scale, offset = norm.scale_offset()
    weight: Tensor = op.weight * scale.reshape(-1, *(1,) * (op.weight.dim() - 1))
    return replace(op, weight=weight, bias=offset if op.bias is None else offset + op.bias * scale)
