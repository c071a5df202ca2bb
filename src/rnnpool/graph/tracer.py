"""Writing down what a forward calls: tensors that stand for nodes, and the rules by which functions become nodes.

A rule turns one torch function into nodes. Rules stand beside their operator in ``rnnpool.graph.ops`` and are found by
the function's name: "conv2d" serves torch.conv2d, F.conv2d and Tensor.conv2d. Modules that are to stay whole (RNNPool)
have a module rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from rnnpool.errors import InputError
from rnnpool.graph.functions import QUESTIONS, READS, function_name, is_in_place
from rnnpool.graph.graph import Node
from rnnpool.graph.op import Op, Shape

FunctionRule = Callable[..., Any]  # (tracer, *args, **kwargs of the torch function) -> Traced or a tuple of them
ModuleRule = Callable[["Tracer", Any, "Traced"], "Traced"]

FUNCTIONS: dict[str, FunctionRule] = {}
MODULES: dict[type[nn.Module], ModuleRule] = {}


def lowers(*names: str) -> Callable[[FunctionRule], FunctionRule]:
    """Register a rule for torch functions of these names; underscores around a name do not count."""

    def add(rule: FunctionRule) -> FunctionRule:
        for name in names:
            if name in FUNCTIONS:
                raise ValueError(f"two rules for the torch function {name!r}")
            FUNCTIONS[name] = rule
        return rule

    return add


def lowers_module(kind: type[nn.Module]) -> Callable[[ModuleRule], ModuleRule]:
    """Register a rule for a module class that is kept whole; its forward is not looked into."""

    def add(rule: ModuleRule) -> ModuleRule:
        MODULES[kind] = rule
        return rule

    return add


class Traced(Tensor):
    """A tensor of batch 1 without data that stands for the output of a node (None: of something not known)."""

    tracer: Tracer
    node: Node | None
    unknown: str  # how the value came about that no rule is known for

    @staticmethod
    def make(tracer: Tracer, node: Node | None, shape: Sequence[int], unknown: str = "") -> Traced:
        value = torch.Tensor._make_subclass(Traced, torch.empty(tuple(shape), device="meta"))
        value.tracer, value.node, value.unknown = tracer, node, unknown
        return value

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        traced = next(leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Traced))
        return traced.tracer.call(func, args, kwargs or {})


class Tracer:
    """Writes nodes while a forward runs."""

    def __init__(self, module: nn.Module) -> None:
        self.nodes: list[Node] = []
        self.names: set[str] = set()
        self.stack: list[tuple[str, nn.Module]] = [("", module)]

    @property
    def path(self) -> str:
        return self.stack[-1][0]

    def place(self) -> str:
        """Where the forward is now, in words."""
        path, module = self.stack[-1]
        return f"module {path!r} ({type(module).__name__})" if path else f"the network ({type(module).__name__})"

    def add(self, op: Op, *inputs: Traced) -> Traced:
        """A node of ``op`` over the inputs."""
        sources = tuple(self.node_of(value) for value in inputs)
        try:
            shape = op.infer(*(source.shape for source in sources))
        except InputError as error:
            raise InputError(f"{self.place()}: {error}") from error
        return self._value(Node(self._name(op.kind), op, sources, shape, self.path))

    def image(self, op: Op, shape: Shape) -> Traced:
        self.names.add("image")
        return self._value(Node("image", op, (), shape, ""))

    def node_of(self, value: object) -> Node:
        if not isinstance(value, Traced):
            raise InputError(f"{self.place()}: an operand is a {type(value).__name__}, not computed from the image")
        if value.node is None:
            raise InputError(value.unknown)
        return value.node

    def call(self, func: Callable, args: Sequence, kwargs: dict[str, Any]) -> Any:
        name = function_name(func)
        if name in QUESTIONS:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        if name in READS:
            raise InputError(
                f"{self.place()} reads the values of a tensor ({name}), so what it does depends on the image; the graph"
                f" holds only what is the same for every image: write the choice as an operator, or lower the parts"
            )
        rule = FUNCTIONS.get(name)
        if rule is None:
            return self._unknown(name, func, args, kwargs)
        if kwargs.get("out", ...) is None:
            kwargs = {key: value for key, value in kwargs.items() if key != "out"}
        result = rule(self, *args, **kwargs)
        writer = is_in_place(func, kwargs)
        target = args[0] if args else kwargs.get("input")
        if not writer or result is target:
            return result
        if not isinstance(target, Traced) or self.node_of(target).op.shares_memory:
            raise InputError(
                f"{self.place()}: {writer} writes into a part of another tensor, which the graph cannot follow; use the"
                f" form that returns a new tensor"
            )
        target.node = self.node_of(result)
        return target

    def _unknown(self, name: str, func: Callable, args: Sequence, kwargs: dict[str, Any]) -> Any:
        from rnnpool.graph import ops

        kinds = sorted(getattr(ops, kind).kind for kind in ops.__all__)
        message = (
            f"{self.place()}: the graph has no operator for torch's {name!r}; write it with operators that it has"
            f" ({', '.join(kinds)}), or add a file to rnnpool.graph.ops"
        )
        origins = [
            leaf.unknown for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Traced) and leaf.unknown
        ]
        return self.later(origins[0] if origins else message, func, *args, **kwargs)

    def later(self, message: str, func: Callable, *args: Any, **kwargs: Any) -> Any:
        """A result that no operator may use, for that would raise ``message``: it may go unused, or decide a branch,
        which is another error."""
        try:
            with torch._C.DisableTorchFunctionSubclass():
                result = func(*args, **kwargs)
        except Exception as error:
            raise InputError(message) from error
        make = Traced.make
        return pytree.tree_map_only(Tensor, lambda tensor: make(self, None, tensor.shape, message), result)

    def _value(self, node: Node) -> Traced:
        self.nodes.append(node)
        return Traced.make(self, node, (1, *node.shape))

    def _name(self, kind: str) -> str:
        _, module = self.stack[-1]
        leaf = self.path and not any(True for _ in module.children())
        base = self.path if leaf else f"{self.path}.{kind}".lstrip(".")
        name, count = base, 1
        while name in self.names:
            count += 1
            name = f"{base}.{count}"
        self.names.add(name)
        return name
