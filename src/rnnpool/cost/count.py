"""The three numbers that a network is described by: parameters, multiply-adds, largest map."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from rnnpool.errors import InputError
from rnnpool.graph import Graph, Madds, Node, lower


@dataclass(frozen=True)
class Cost:
    """Of one image in evaluation mode.

    ``largest`` is the operator with the largest output, the image aside; its ``shape`` and ``size`` tell how large.
    """

    parameters: int
    madds: Madds
    largest: Node


def count(network: nn.Module | Graph, input_shape: Sequence[int] | None = None) -> Cost:
    """Count a module, or a graph of one, without running it.

    Args:
        network: a module (then ``input_shape`` (C, H, W) is needed) or its graph.

    Raises:
        InputError: a module without an input shape, or one that cannot be lowered (see ``rnnpool.graph.lower``).
    """
    graph = as_graph(network, input_shape)
    operators = [node for node in graph if node is not graph.image] or [graph.image]
    return Cost(graph.parameters, graph.madds, max(operators, key=lambda node: node.size))


def as_graph(network: nn.Module | Graph, input_shape: Sequence[int] | None = None) -> Graph:
    """The graph itself, or that of a module."""
    if isinstance(network, Graph):
        return network
    if input_shape is None:
        raise InputError(f"to count a {type(network).__name__}, input_shape (channels, height, width) must be given")
    return lower(network, input_shape)
