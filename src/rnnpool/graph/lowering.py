"""From a torch module to a graph: run its forward once on a tensor without data, and write down what it calls.

The image is a tensor on torch's "meta" device whose every use lands in ``__torch_function__``, with real shapes. So
Python code that looks at shapes (crops, checks, loops over levels) simply runs, nothing is computed, and a network is
lowered in milliseconds. torch.fx would refuse code that branches on a shape; torch.export takes seconds, and takes
RNNPool apart. What depends on the values of a tensor cannot be lowered, and is said to be so. ``tracer`` writes the
nodes; here the module is made to run under it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import MethodType

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from rnnpool.errors import InputError
from rnnpool.graph.graph import Graph, Node
from rnnpool.graph.tracer import MODULES, Tracer


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
            kind = next((kind for kind in MODULES if isinstance(each, kind)), None)
            if kind is not None:
                undo.enter_context(_standing_in(tracer, path, each, kind))
            if path:
                _watch(tracer, path, each, undo)
        yield


@contextmanager
def _standing_in(tracer: Tracer, path: str, module: nn.Module, kind: type[nn.Module]) -> Iterator[None]:
    # The operator is what the class computes: what another forward does, a subclass's or one put on the instance, would
    # be lost to the counts and the integers. The class's own may lie on the instance, where wrappers leave it.
    if module.forward != MethodType(kind.forward, module):
        where = f"module {path!r}" if path else "the network"
        raise InputError(
            f"{where} ({type(module).__name__}) has another forward than {kind.__name__}'s, which the graph keeps"
            f" whole; take it off, or move what it adds into a module around it"
        )
    own = module.__dict__.get("forward")
    module.__dict__["forward"] = lambda x: MODULES[kind](tracer, module, x)
    try:
        yield
    finally:
        del module.__dict__["forward"]
        if own is not None:
            module.__dict__["forward"] = own


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
