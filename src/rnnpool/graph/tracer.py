"""Writing down what a forward calls: tensors that stand for nodes, and the rules by which functions become nodes.

A rule turns one torch function into nodes. Rules stand beside their operator in ``rnnpool.graph.ops`` and are found by
the function's name: "conv2d" serves torch.conv2d, F.conv2d and Tensor.conv2d. Modules that are to stay whole (RNNPool)
have a module rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


@dataclass
class Memory:
    """What a tensor and the views of it show; it counts the writes into it, as torch's version counter does."""

    writes: int = 0
    last: str = ""  # the last write, as the error of whoever reads the memory through another tensor


class Traced(Tensor):
    """A tensor of batch 1 without data that stands for the output of a node (None: of something not known).

    The node is what the memory held after ``seen`` writes: a later write through another tensor makes it stale.
    """

    tracer: Tracer
    node: Node | None
    unknown: str  # how the value came about that no rule is known for
    memory: Memory
    seen: int

    @staticmethod
    def make(
        tracer: Tracer, node: Node | None, shape: Sequence[int], unknown: str = "", memory: Memory | None = None
    ) -> Traced:
        value = torch.Tensor._make_subclass(Traced, torch.empty(tuple(shape), device="meta"))
        value.tracer, value.node, value.unknown = tracer, node, unknown
        value.memory = Memory() if memory is None else memory
        value.seen = value.memory.writes
        return value

    def write(self, node: Node | None, error: str) -> None:
        """The memory is written through this tensor, which then stands for ``node``; others of that memory go stale."""
        self.memory.writes += 1
        self.memory.last = error
        self.node, self.unknown, self.seen = node, "" if node else error, self.memory.writes

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
        memory = inputs[0].memory if op.shares_memory else None
        return self._value(Node(self._name(op.kind), op, sources, shape, self.path), memory)

    def copy(self, value: Traced) -> Traced:
        """The same numbers in memory of their own: no node, but a write into one is not seen in the other."""
        return Traced.make(self, value.node and self.node_of(value), value.shape, value.unknown)

    def image(self, op: Op, shape: Shape) -> Traced:
        self.names.add("image")
        return self._value(Node("image", op, (), shape, ""))

    def node_of(self, value: object) -> Node:
        if not isinstance(value, Traced):
            raise InputError(f"{self.place()}: an operand is a {type(value).__name__}, not computed from the image")
        if value.node is None:
            raise InputError(value.unknown)
        if value.seen < value.memory.writes:
            raise InputError(value.memory.last)
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
        writer = is_in_place(func, kwargs)
        target: Any = args[0] if args else kwargs.get("input")
        if writer and not isinstance(target, Traced):
            raise InputError(f"{self.place()}: {writer} writes into a {type(target).__name__} not made from the image")
        if rule is None:
            message = self._unknown(name, args, kwargs)
            result = self.later(message, func, *args, **kwargs)
            if writer and target.node is None:  # perhaps a view, and of what is not known
                raise InputError(message)
            if writer:
                target.write(None, message)
            return result
        if kwargs.get("out", ...) is None:
            kwargs = {key: value for key, value in kwargs.items() if key != "out"}
        result = rule(self, *args, **kwargs)
        if not writer or result is target:
            return result
        if result.shape != target.shape:
            raise InputError(
                f"{self.place()}: {writer} changes a tensor's shape; use the form that returns a new tensor"
            )
        target.write(
            self.node_of(result),
            f"{self.place()}: {writer} writes into memory that another tensor shows too, which is used afterwards; the"
            f" graph cannot follow that: use the form that returns a new tensor",
        )
        return target

    def _unknown(self, name: str, args: Sequence, kwargs: dict[str, Any]) -> str:
        """Why a function without a rule has no result: it, or the first such function that led to its operands."""
        from rnnpool.graph import ops

        kinds = sorted(getattr(ops, kind).kind for kind in ops.__all__)
        message = (
            f"{self.place()}: the graph has no operator for torch's {name!r}; write it with operators that it has"
            f" ({', '.join(kinds)}), or add a file to rnnpool.graph.ops"
        )
        origins = [
            leaf.unknown for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Traced) and leaf.unknown
        ]
        return origins[0] if origins else message

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

    def _value(self, node: Node, memory: Memory | None = None) -> Traced:
        self.nodes.append(node)
        return Traced.make(self, node, (1, *node.shape), memory=memory)

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
