"""The graph of a network: operators in an order in which they can run, each with its inputs and the shape it makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Madds, Op, Shape, numel


@dataclass(eq=False)
class Node:
    """One operator in its place.

    Attributes:
        name: unique in its graph: the module's path, with the operator's kind where a module holds several.
        op: what it computes.
        inputs: where its inputs come from.
        shape: of its output, without the batch.
        path: the module whose forward called it ("" is the network itself).
    """

    name: str
    op: Op
    inputs: tuple[Node, ...]
    shape: Shape
    path: str

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return tuple(node.shape for node in self.inputs)

    @property
    def kind(self) -> str:
        return self.op.kind

    @property
    def madds(self) -> Madds:
        return self.op.madds(self.input_shapes, self.shape)

    @property
    def size(self) -> int:
        """Numbers in the output."""
        return numel(self.shape)

    def __repr__(self) -> str:
        return f"<{self.name}: {self.kind} {' x '.join(map(str, self.shape))}>"


@dataclass(eq=False)
class Graph:
    """Nodes in topological order, the image first; ``outputs`` in the order in which the network returns them."""

    name: str
    nodes: list[Node]
    outputs: list[Node]
    _consumers: dict[Node, list[Node]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._consumers = {node: [] for node in self.nodes}
        for node in self.nodes:
            for source in dict.fromkeys(node.inputs):
                self._consumers[source].append(node)

    @property
    def image(self) -> Node:
        return self.nodes[0]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def node(self, name: str) -> Node:
        """The node of that name; InputError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise InputError(f"graph {self.name} has no node {name!r}")

    def consumers(self, node: Node) -> list[Node]:
        """Who reads a node's output, each once."""
        return self._consumers[node]

    @cached_property
    def parameters(self) -> int:
        """Trained numbers; a tensor used in several places counts once."""
        return sum(tensor.numel() for tensor in unique_weights(self.nodes))

    @cached_property
    def madds(self) -> Madds:
        total = Madds.of(0)
        for node in self.nodes:
            total += node.madds
        return total

    @torch.no_grad()
    def run(self, image: Tensor, keep: Sequence[Node] | None = None) -> list[Tensor]:
        """Execute on (B, C, H, W); returns the outputs, or the values of ``keep``.

        Raises:
            InputError: the image is of another shape than the graph was made for.
        """
        if tuple(image.shape[1:]) != self.image.shape:
            raise InputError(f"graph {self.name} is for images {self.image.shape}; this is {tuple(image.shape[1:])}")
        wanted = self.outputs if keep is None else list(keep)
        uses = {node: len(self.consumers(node)) for node in self.nodes}
        values: dict[Node, Tensor] = {}
        kept: dict[Node, Tensor] = {}
        for node in self.nodes:
            values[node] = image if node is self.image else node.op.run(*(values[source] for source in node.inputs))
            if node in wanted:
                kept[node] = values[node]
            for source in dict.fromkeys(node.inputs):
                uses[source] -= 1
                if not uses[source]:
                    del values[source]
        return [kept[node] for node in wanted]


def unique_weights(nodes: Sequence[Node]) -> list[Tensor]:
    """Weights of the nodes, each tensor once; a view counts as what it is a view of."""
    found: dict[int, Tensor] = {}
    for node in nodes:
        for tensor in node.op.weights().values():
            base = tensor if tensor._base is None else tensor._base
            found.setdefault(id(base), base)
    return list(found.values())
