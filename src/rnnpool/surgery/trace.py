"""A run of a network found by tracing its forward: from one module to another, nothing entering or leaving between.

The trace opens only the modules that hold the run's ends; all others stay whole, whatever their forward does.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from torch import fx, nn

from rnnpool.errors import InputError


class _Around(fx.Tracer):
    """Opens the modules in ``opened`` and no other."""

    def __init__(self, opened: Collection[str]) -> None:
        super().__init__()
        self.opened = opened

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name not in self.opened

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if m not in (self.submodule_paths or {}):  # made by the forward itself: self.features[2:5]
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)


def trace_around(model: nn.Module, paths: Collection[str]) -> fx.Graph:
    """The graph of ``model`` in which the modules at ``paths`` are whole and those that hold them are open.

    Raises:
        InputError: the forward decides by its tensors' values or shapes.
    """
    opened = {path[:i] for path in paths for i, letter in enumerate(path) if letter == "."}
    try:
        return _Around(opened).trace(model)
    except Exception as error:  # the user's forward runs here with stand-ins for tensors
        raise InputError(
            f"cannot follow the forward of {type(model).__name__} (torch.fx: {error}); "
            "a run within one nn.Sequential, or a single module, can be replaced without following it"
        ) from error


def find_run(graph: fx.Graph, start: str, stop: str) -> list[fx.Node]:
    """The nodes from module ``start`` to module ``stop``, in order.

    Raises:
        InputError: a module that the forward never calls or calls twice, a stop that does not come after the start,
            or a run that reads from, or is read by, the rest of the network in between.
    """
    first, last = _call(graph, start, "start"), _call(graph, stop, "stop")
    after = _reach(first, lambda node: node.users)
    before = _reach(last, lambda node: node.all_input_nodes)
    run = [node for node in graph.nodes if node in after and node in before]
    if first not in run:
        raise InputError(f"stop {stop!r} does not come after start {start!r} in the forward")
    entry = _only_input(first, start)
    inside = set(run)
    for node in run:
        for source in node.all_input_nodes:
            if source not in inside and source is not entry and source.op != "get_attr":
                raise InputError(f"the run {_name(run)} also reads {_who(source)} from outside (at {_who(node)})")
            if source is entry and node is not first:
                raise InputError(
                    f"the run {_name(run)} reads its input twice (at {_who(first)} and {_who(node)}): "
                    "a shortcut crosses its beginning; begin with the block that holds it"
                )
        for user in node.users:
            if node is not last and user not in inside:
                raise InputError(
                    f"the output of {_who(node)}, inside the run {_name(run)}, is also read by {_who(user)}"
                )
    return run


def _call(graph: fx.Graph, path: str, argument: str) -> fx.Node:
    calls = [node for node in graph.nodes if node.op == "call_module" and node.target == path]
    if len(calls) != 1:
        raise InputError(f"{argument} {path!r} is called {len(calls)} times in one forward; it must be called once")
    return calls[0]


def _reach(node: fx.Node, step: Callable[[fx.Node], Iterable[fx.Node]]) -> set[fx.Node]:
    seen, waiting = {node}, [node]
    while waiting:
        for other in step(waiting.pop()):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen


def _only_input(node: fx.Node, start: str) -> fx.Node:
    if len(node.all_input_nodes) != 1:
        raise InputError(f"start {start!r} reads {len(node.all_input_nodes)} tensors; RNNPool takes one")
    return node.all_input_nodes[0]


def _who(node: fx.Node) -> str:
    if node.op == "call_module":
        return str(node.target)
    if node.op == "placeholder":
        return "the network's input"
    if node.op == "output":
        return "the network's output"
    return node.name


def _name(run: list[fx.Node]) -> str:
    return _who(run[0]) if len(run) == 1 else f"{_who(run[0])} .. {_who(run[-1])}"
