"""What the rules of ``fuse`` share: the graph, the layers so far, and the error for what has no integers."""

from rnnpool.errors import InputError
from rnnpool.graph import Graph, Node
from rnnpool.integer.layers import Layer


class Fuser:
    """The state of one fusion.

    Attributes:
        layers: in an order in which they can run.
        made: of each node that was passed the layer whose result is its.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.layers: list[Layer] = []
        self.made: dict[Node, Layer] = {}

    def layer_of(self, node: Node) -> Layer:
        if node not in self.made:
            raise unsupported(node, "only enlargement by 2, cut at the bottom and the right, before a sum, has them")
        return self.made[node]

    def source(self, node: Node) -> Layer:
        return self.layer_of(node.inputs[0])

    def alone(self, node: Node) -> bool:
        """Whether a node's result is read once and by nobody outside, also under the names it had before a reshape."""
        if len(self.graph.consumers(node)) != 1 or node in self.graph.outputs:
            return False
        layer = self.made.get(node)
        return all(self.alone(source) for source in node.inputs if layer is not None and self.made[source] is layer)


def unsupported(node: Node, why: str) -> InputError:
    """The error for an operator, or a use of one, without integers."""
    what = ", ".join(f"{key}={value}" for key, value in node.op.attributes().items() if key != "module")
    place = f"module {node.path!r}" if node.path else "the network's own forward"
    return InputError(f"operator {node.kind} ({what}) of {place} has no integer form; {why}")
