"""From a torch module to a graph: run its forward once on a tensor without data, and write down what it calls.

The image is a tensor on torch's "meta" device whose every use lands in ``__torch_function__``, with real shapes. So
Python code that looks at shapes (crops, checks, loops over levels) simply runs, nothing is computed, and a network is
lowered in milliseconds. torch.fx would refuse code that branches on a shape; torch.export takes seconds, and takes
RNNPool apart. What depends on the values of a tensor cannot be lowered, and is said to be so.

A rule turns one torch function into nodes. Rules stand beside their operator in ``rnnpool.graph.ops`` and are found by
the function's name: "conv2d" serves torch.conv2d, F.conv2d and Tensor.conv2d. Modules that are to stay whole (RNNPool)
have a module rule.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from rnnpool.errors import InputError
from rnnpool.graph.graph import Graph, Node
from rnnpool.graph.op import Op, Shape

FunctionRule = Callable[..., Any]  # (tracer, *args, **kwargs of the torch function) -> Traced or a tuple of them
ModuleRule = Callable[["Tracer", Any, "Traced"], "Traced"]

FUNCTIONS: dict[str, FunctionRule] = {}
MODULES: dict[type[nn.Module], ModuleRule] = {}

# Functions that ask about a tensor without reading it.
QUESTIONS = frozenset({
    "shape", "size", "dim", "ndim", "ndimension", "numel", "nelement", "len", "stride", "is_contiguous",
    "device", "dtype", "layout", "type", "element_size", "itemsize", "is_floating_point", "is_complex",
    "is_cuda", "is_cpu", "is_mps", "is_xpu", "is_meta", "is_mkldnn", "is_quantized", "is_sparse", "is_nested", "names",
    "requires_grad", "requires_grad_", "is_leaf", "is_inference", "is_conj", "is_neg", "hash", "format", "repr",
})  # fmt: skip
# Functions that read a value into Python: what follows depends on the image.
READS = frozenset({
    "bool", "int", "float", "index", "item", "tolist", "numpy", "array", "contains", "is_nonzero", "equal", "allclose",
})  # fmt: skip


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


def function_name(func: Callable) -> str:
    """ "conv2d" for torch.conv2d, "add" for Tensor.__iadd__ and add_, "shape" for the getter of Tensor.shape."""
    name = getattr(func, "__name__", str(func))
    if name in ("__get__", "__set__"):
        name = getattr(func.__self__, "__name__", name)  # type: ignore[attr-defined]
    name = name.strip("_")
    return {"iadd": "add", "radd": "add", "imul": "mul", "rmul": "mul", "isub": "sub", "itruediv": "div"}.get(
        name, name
    )


def is_in_place(func: Callable, kwargs: dict[str, Any]) -> str:
    """The name of a function that writes into its first argument, or ""."""
    name = getattr(func, "__name__", "")
    writes = name in ("__iadd__", "__imul__", "__isub__", "__itruediv__", "__setitem__")
    writes = writes or (name.endswith("_") and not name.endswith("__")) or bool(kwargs.get("inplace"))
    return name if writes else ""


def lower(module: nn.Module, input_shape: Sequence[int], *, name: str | None = None) -> Graph:
    """The graph of ``module`` in evaluation mode for one image of shape (C, H, W).

    The graph refers to the module's own tensors: it sees later changes of their values, not of the architecture.

    Args:
        module: takes (B, C, H, W), returns a tensor or any nesting of lists, tuples and dicts of tensors.
        input_shape: (C, H, W) without the batch.
        name: of the graph; the module's registry name or class by default.

    Raises:
        InputError: an operator without a rule, a forward that depends on values, shapes that do not fit. It names the
            operator and the module's path.
    """
    from rnnpool.graph import ops  # registers the rules

    shape = tuple(int(side) for side in input_shape)
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(f"input_shape is {tuple(input_shape)}; it must be (channels, height, width), all positive")
    title = name or str(getattr(module, "registry_name", type(module).__name__))
    tracer = Tracer(module)
    with _LOCK, torch.no_grad(), _evaluation(module), _watching(tracer, module):
        image = tracer.image(ops.Image(shape), shape)
        try:
            result = module(image)
        except InputError:
            raise
        except Exception as error:
            at = tracer.place()
            raise InputError(f"{title} cannot be run on an image {shape}, at {at}: {error}") from error
    outputs = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]
    if not outputs:
        raise InputError(f"{title} returned no tensor; the graph needs at least one output")
    graph = _pruned(Graph(title, tracer.nodes, [tracer.node_of(value) for value in outputs]))
    if len(graph) == 1:
        raise InputError(f"{title} returns its input unchanged; there is nothing to lower")
    return graph


_LOCK = threading.Lock()  # lowering puts hooks on the module's own objects


@contextmanager
def _evaluation(module: nn.Module) -> Iterator[None]:
    modes = [(each, each.training) for each in module.modules()]
    try:
        module.eval()
        yield
    finally:
        for each, mode in modes:
            each.training = mode


@contextmanager
def _watching(tracer: Tracer, module: nn.Module) -> Iterator[None]:
    """Hooks that tell the tracer which module is running, and stand in for the forward of those kept whole."""
    with ExitStack() as undo:
        # hooks fire for each call, so a module shared by two parents carries the first path
        for path, each in module.named_modules():
            rule = next((rule for kind, rule in MODULES.items() if isinstance(each, kind)), None)
            if rule is not None:
                each.__dict__["forward"] = _stand_in(tracer, rule, each)
                undo.callback(each.__dict__.pop, "forward")
            if path:
                _watch(tracer, path, each, undo)
        yield


def _stand_in(tracer: Tracer, rule: ModuleRule, module: nn.Module) -> Callable[[Traced], Traced]:
    return lambda x: rule(tracer, module, x)


def _watch(tracer: Tracer, path: str, module: nn.Module, undo: ExitStack) -> None:
    def enter(_module: nn.Module, _args: object) -> None:
        tracer.stack.append((path, module))

    def leave(_module: nn.Module, _args: object, _result: object) -> None:
        tracer.stack.pop()

    try:
        undo.callback(module.register_forward_pre_hook(enter).remove)
        undo.callback(module.register_forward_hook(leave).remove)
    except RuntimeError as error:  # a scripted module
        kind = type(module).__name__
        raise InputError(f"module {path!r} ({kind}) takes no hooks ({error}); give the eager module") from error


def _pruned(graph: Graph) -> Graph:
    """Without nodes that no output needs."""
    needed: set[Node] = {graph.image}
    waiting = list(graph.outputs)
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting += node.inputs
    return Graph(graph.name, [node for node in graph.nodes if node in needed], graph.outputs)
