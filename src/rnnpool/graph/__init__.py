"""One graph of a network: operators with shapes, lowered from torch; what costs, integers and C are derived from."""

from rnnpool.graph.fold import fold_batch_norm
from rnnpool.graph.graph import Graph, Node
from rnnpool.graph.lowering import lower
from rnnpool.graph.op import Held, Madds, Op, Shape

__all__ = ["Graph", "Held", "Madds", "Node", "Op", "Shape", "fold_batch_norm", "lower"]
