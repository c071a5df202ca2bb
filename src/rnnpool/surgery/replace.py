"""Replace a run of a network's blocks, or one pooling, by an RNNPool that gives a map of the same size."""

import copy
from collections.abc import Callable, Collection, Sequence

from torch import fx, nn

from rnnpool.errors import InputError
from rnnpool.models.shapes import output_shape
from rnnpool.surgery.fit import Pair, Shape, fit_rnnpool
from rnnpool.surgery.paths import find, is_chain
from rnnpool.surgery.probe import check_size, map_shape, probe, same_place
from rnnpool.surgery.trace import find_run, trace_around

Layer = nn.Module | Callable[[Shape, Shape], nn.Module]


def replace(
    model: nn.Module,
    start: str,
    stop: str | None = None,
    layer: Layer | None = None,
    *,
    input_size: Sequence[int],
    hidden: int | Pair | None = None,
    kernel: int | Pair | None = None,
    stride: int | Pair | None = None,
    norm: bool = False,
    cell: str = "fastgrnn",
    gates: str = "smooth",
    init: str = "reference",
) -> nn.Module:
    """A copy of ``model`` in which the modules from ``start`` to ``stop`` are one RNNPool; the original stays as it is.

    The new layer takes the place of ``start`` and has its name; the run's other modules are deleted from the sequences
    that hold them, or become ``nn.Identity`` where the model's own forward calls them. All other weights keep their
    values and names. Where functions stand between the run's modules (``F.relu`` in the forward), the copy is an
    ``fx.GraphModule`` with the same weights and names.

    Args:
        start, stop: module paths as ``model.named_modules()`` gives them, both inclusive; ``stop`` None replaces one
            module, such as a pooling.
        layer: what to put there instead of the RNNPool found from the shapes: a module, or a function of the input's
            and output's (C, H, W) that makes one.
        input_size: (C, H, W) of the network's input. Only for it are the sizes of the maps sure to be as before: at
            another size a patch of RNNPool may count one position more or less than the blocks did.
        hidden, kernel, stride: see ``fit_rnnpool``. If 4 * hidden is not the number of channels that the run gave, a
            1x1 convolution follows.
        norm: batch norm after the RNNPool.
        cell, gates, init: see ``RNNPool2d``.

    Raises:
        InputError: an unknown path (with the closest ones), a run with another way in or out, sizes that no RNNPool
            maps to each other, a layer that gives another size.

    Example:
        >>> from torchvision.models import resnet18
        >>> small = replace(resnet18(), "maxpool", "layer2", input_size=(3, 224, 224), hidden=32)
        >>> small.maxpool.out_channels
        128
    """
    size = check_size(input_size)
    stop = start if stop is None else stop
    find(model, start, "start")
    find(model, stop, "stop")
    holders = sorted({path[:i] for path in (start, stop) for i, letter in enumerate(path) if letter == "."} | {""})
    calls, before = probe(model, size, [start, stop, *holders])
    whole = {path for path in holders if len(calls[path]) == 1 and is_chain(model.get_submodule(path))}
    run = _sequence_run(model, start, stop, whole)
    if run is None:
        graph = trace_around(model, {start, stop})
        run = _as_modules(graph, find_run(graph, start, stop))
    for path, argument in ((start, "start"), (stop, "stop")):
        if len(calls[path]) != 1:
            raise InputError(f"{argument} {path!r} is called {len(calls[path])} times in one forward; expected once")
    in_shape = map_shape(calls[start][0][0], f"the input of {start}")
    out_shape = map_shape(calls[stop][0][1], f"the output of {stop}")
    if layer is None:
        fit = fit_rnnpool(in_shape, out_shape, hidden=hidden, kernel=kernel, stride=stride)
        layer = fit.build(norm=norm, cell=cell, gates=gates, init=init)
    elif not isinstance(layer, nn.Module):
        layer = layer(in_shape, out_shape)
    given = output_shape(layer, (1, *in_shape))[1:]
    if given != out_shape:
        raise InputError(f"the layer maps {in_shape} to {given}; {start} .. {stop} maps it to {out_shape}")
    device, dtype = same_place(model)
    layer = layer.to(device, dtype).train(model.training)
    copied = copy.deepcopy(model)
    copied.__dict__.pop("registry_name", None)  # its weights would be saved as those of the network it was
    if run is None:
        copied = _without_nodes(copied, start, stop, layer)
    else:
        _put(copied, run, layer, whole)
    _, after = probe(copied, size, [])
    if after != before:
        raise InputError(f"the network gave {before}, and would give {after} without {start} .. {stop}")
    return copied


def _sequence_run(model: nn.Module, start: str, stop: str, whole: Collection[str]) -> list[str] | None:
    """The paths from start to stop if they are one module or within one sequence of ``whole``: no need of a trace."""
    if start == stop:
        return [start]
    holder, _, first = start.rpartition(".")
    other, _, last = stop.rpartition(".")
    if holder != other or holder not in whole:
        return None
    names = list(model.get_submodule(holder)._modules)
    i, j = names.index(first), names.index(last)
    if j < i:
        raise InputError(f"stop {stop!r} comes before start {start!r}")
    return [f"{holder}.{name}".removeprefix(".") for name in names[i : j + 1]]


def _as_modules(graph: fx.Graph, run: Sequence[fx.Node]) -> list[str] | None:
    """The run's module paths if it is nothing but modules that no one else calls; else None."""
    calls = [node.target for node in graph.nodes if node.op == "call_module"]
    if any(node.op != "call_module" or calls.count(node.target) > 1 for node in run):
        return None
    return [str(node.target) for node in run]


def _put(model: nn.Module, run: Sequence[str], layer: nn.Module, whole: Collection[str]) -> None:
    """The layer in place of the run's first module; the others go from the sequences in ``whole``, else do nothing."""
    for path in run[1:]:
        holder, _, name = path.rpartition(".")
        if holder in whole:
            del model.get_submodule(holder)._modules[name]
        else:
            setattr(model.get_submodule(holder), name, nn.Identity())
    holder, _, name = run[0].rpartition(".")
    setattr(model.get_submodule(holder), name, layer)


def _without_nodes(model: nn.Module, start: str, stop: str, layer: nn.Module) -> fx.GraphModule:
    """``model`` as a GraphModule with the run cut out of its graph."""
    graph = trace_around(model, {start, stop})
    run = find_run(graph, start, stop)
    first, last = run[0], run[-1]
    for node in graph.nodes:
        if isinstance(node.kwargs.get("training"), bool):
            raise InputError(
                f"{type(model).__name__} calls {node.name} with training=self.training, which a traced copy would fix "
                "for ever; use a module (nn.Dropout) there, or choose a run of modules without functions between them"
            )
    holder, _, name = start.rpartition(".")
    setattr(model.get_submodule(holder), name, layer)
    with graph.inserting_after(last):
        new = graph.call_module(start, (first.all_input_nodes[0],))
    last.replace_all_uses_with(new)
    for node in reversed(run):
        graph.erase_node(node)
    for node in reversed(graph.nodes):
        if node.op == "get_attr" and not node.users:  # a parameter that only the run read
            graph.erase_node(node)
    graph.lint()
    module = fx.GraphModule(model, graph, type(model).__name__)
    module.delete_all_unused_submodules()
    module.train(model.training)
    return module
