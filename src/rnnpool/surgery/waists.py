"""Where a network can be cut in two, and which runs of modules lie between two such places.

A waist is a node after which nothing else is alive: whatever follows is computed from its output alone. Between two
waists a run has one way in and one way out, so an RNNPool can stand there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rnnpool.graph import Graph, Node

MapShape = tuple[int, int, int]


@dataclass(frozen=True)
class Run:
    """The nodes after waist ``entry`` up to waist ``end``, which are the modules from ``start`` to ``stop``."""

    entry: Node
    end: Node
    start: str
    stop: str
    nodes: int
    in_shape: MapShape
    out_shape: MapShape


def waists(graph: Graph) -> list[int]:
    """Positions of the waists in the graph, the image's 0 included if it is one."""
    position = {node: i for i, node in enumerate(graph)}
    last_use = [max((position[user] for user in graph.consumers(node)), default=i) for i, node in enumerate(graph)]
    for output in graph.outputs:
        last_use[position[output]] = len(graph)
    found, alive_until = [], 0
    for i, _ in enumerate(graph):
        if alive_until <= i:
            found.append(i)
        alive_until = max(alive_until, last_use[i])
    return found


def runs(graph: Graph) -> Iterator[Run]:
    """Every run of whole modules between two waists that makes a map smaller.

    A run does not begin or end between a convolution and the batch norm and activation behind it: they belong together.
    An activation that a forward calls as a function has no name to end a run by: it stays behind the RNNPool.
    """
    nodes = graph.nodes
    spans = _spans(nodes)
    places = [i for i in waists(graph) if i + 1 < len(nodes)]
    joined = {i for i in places if _belongs(nodes[i + 1], to=nodes[i])}
    left_over = {i for i in joined if _holds(nodes[i + 1].path, nodes[i].path)}
    for a in places:
        for b in places:
            if b <= a or a in joined or b in joined - left_over:
                continue
            before, after = _map_shape(nodes[a]), _map_shape(nodes[b])
            if before is None or after is None or before[1:] == after[1:]:
                continue
            if before[1] < after[1] or before[2] < after[2]:
                continue
            start = _module(nodes[a + 1].path, spans, a, b, first=True)
            stop = _module(nodes[b].path, spans, a, b, first=False)
            if start and stop:
                yield Run(nodes[a], nodes[b], start, stop, b - a, before, after)


def _map_shape(node: Node) -> MapShape | None:
    """(C, H, W), or None for what is no map."""
    if len(node.shape) != 3:
        return None
    c, h, w = node.shape
    return c, h, w


def _belongs(node: Node, *, to: Node) -> bool:
    return node.op.in_place and to.kind in ("conv", "linear", "batch_norm")


def _holds(outer: str, inner: str) -> bool:
    """Whether the module at ``inner`` lies within the one at ``outer``."""
    return inner != outer and (not outer or inner.startswith(f"{outer}."))


def _spans(nodes: list[Node]) -> dict[str, tuple[int, int]]:
    """For each module's path the positions of the first and last node made within its forward."""
    spans: dict[str, tuple[int, int]] = {}
    for i, node in enumerate(nodes):
        path = node.path
        while path:
            first, _ = spans.get(path, (i, i))
            spans[path] = (first, i)
            path = path.rpartition(".")[0]
    return spans


def _module(path: str, spans: dict[str, tuple[int, int]], a: int, b: int, *, first: bool) -> str | None:
    """The outermost module around ``path`` whose nodes lie in (a, b] and reach its beginning (or its end)."""
    best = None
    while path:
        low, high = spans[path]
        if low <= a or high > b:
            break
        if (low == a + 1) if first else (high == b):
            best = path
        path = path.rpartition(".")[0]
    return best


def graft(graph: Graph, run: Run, layer: Graph) -> Graph:
    """The graph with a layer's graph in place of the run's nodes, sharing all other operators."""
    new: dict[Node, Node] = {}

    def add(node: Node, sources: dict[Node, Node], path: str) -> None:
        inputs = tuple(sources[source] for source in node.inputs)
        name = f"{path}.{node.name}" if path else node.name
        new[node] = Node(name, node.op, inputs, node.shape, f"{path}.{node.path}".strip("."))

    position = {node: i for i, node in enumerate(graph)}
    entry, end = position[run.entry], position[run.end]
    for node in graph.nodes[: entry + 1]:
        add(node, new, "")
    new[layer.image] = new[run.entry]
    for node in layer.nodes[1:]:
        add(node, new, run.start)
    (output,) = layer.outputs
    new[run.end] = new[output]
    for node in graph.nodes[end + 1 :]:
        add(node, new, "")
    kept = [*graph.nodes[: entry + 1], *layer.nodes[1:], *graph.nodes[end + 1 :]]
    return Graph(graph.name, [new[node] for node in kept], [new[node] for node in graph.outputs])
