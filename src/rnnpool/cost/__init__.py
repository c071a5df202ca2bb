"""What a network costs: parameters, multiply-adds, and memory under each convention."""

from rnnpool.cost.count import Cost, as_graph, count

__all__ = ["Cost", "as_graph", "count"]
