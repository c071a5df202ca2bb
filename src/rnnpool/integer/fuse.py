"""From a graph to layers: batch norms, activations, enlargements and L2 scales become part of the layer beside them.

Every step is exact: the layers compute what the graph computes, up to the rounding of floats. An operator without
integers is an InputError that names it and its module.
"""

from collections.abc import Callable

import torch

from rnnpool.graph import Graph, Node, Op, fold_batch_norm
from rnnpool.graph.ops import (
    Activation,
    Add,
    Affine,
    Conv,
    GlobalPool,
    Image,
    L2Norm,
    Linear,
    Nearest,
    Pad,
    Pool,
    Reshape,
    RNNPool,
    Slice,
)
from rnnpool.integer import fuse_convolutions
from rnnpool.integer.fuse_convolutions import scale_inputs, scaled
from rnnpool.integer.fuser import Fuser, unsupported
from rnnpool.integer.layers import (
    Addition,
    ImageLayer,
    Layer,
    Mean,
    Normalisation,
    Padding,
    RNNPooling,
)
from rnnpool.integer.outputs import widen_outputs
from rnnpool.integer.real_network import RealNetwork

_CLIPS = {"relu": (0.0, float("inf")), "relu6": (0.0, 6.0)}


def fuse(graph: Graph) -> RealNetwork:
    """The layers of a graph. Gradients of their tensors pass to those of the graph.

    Raises:
        InputError: an operator, or a use of one, that has no integers; its name and its module's path are given.
    """
    fuser = Fuser(fold_batch_norm(graph))
    for node in fuser.graph:
        rule = _RULES.get(type(node.op))
        if rule is None:
            raise unsupported(node, f"those that have them: {', '.join(sorted({kind.kind for kind in _RULES}))}")
        layer = rule(fuser, node)
        if layer is not None:
            fuser.made[node] = layer
            if layer not in fuser.layers:
                fuser.layers.append(layer)
    outputs = [fuser.layer_of(node) for node in fuser.graph.outputs]
    vectors = [len(node.shape) == 1 for node in fuser.graph.outputs]
    network = RealNetwork(fuser.graph.name, fuser.layers, outputs, vectors)
    widen_outputs(network)
    return network


def _image(fuser: Fuser, node: Node) -> Layer:
    return ImageLayer(name=node.name, inputs=(), shape=node.shape, path=node.path)


def _activation(fuser: Fuser, node: Node) -> Layer:
    op, layer = node.op, fuser.source(node)
    assert isinstance(op, Activation)
    if op.function == "clip":
        low, high = op.settings
    elif op.function in _CLIPS:
        low, high = _CLIPS[op.function]
    else:
        raise unsupported(node, f"functions that have them: {', '.join([*_CLIPS, 'clip'])}")
    if not low <= 0 <= high:
        raise unsupported(node, "a clip must let 0 pass")
    if layer.copies or not fuser.alone(node.inputs[0]):
        layer = scaled(node, layer, torch.ones(1), torch.zeros(1))
    layer.low, layer.high = max(low, layer.low), min(high, layer.high)
    return layer


def _affine(fuser: Fuser, node: Node) -> Layer:
    op, layer = node.op, fuser.source(node)
    assert isinstance(op, Affine)
    scale = torch.ones(1) if op.scale is None else op.scale
    offset = torch.zeros(1) if op.offset is None else op.offset
    unclipped = layer.low == float("-inf") and layer.high == float("inf")
    if isinstance(layer, RNNPooling) and fuser.alone(node.inputs[0]) and unclipped:
        scale, offset = scale.to(layer.factor), offset.to(layer.factor)
        layer.factor, layer.offset = layer.factor * scale, layer.offset * scale + offset
        return layer
    if isinstance(layer, Normalisation) and op.offset is None and fuser.alone(node.inputs[0]):
        readers = fuser.graph.consumers(node)
        if node not in fuser.graph.outputs and all(isinstance(reader.op, Conv) for reader in readers):
            for reader in readers:
                scale_inputs(reader, scale)
            return layer
    return scaled(node, layer, scale, offset)


def _add(fuser: Fuser, node: Node) -> Layer:
    parts = [_halved(fuser, source) for source in node.inputs]
    if parts[0] is not None and parts[1] is None:
        parts, inputs = parts[::-1], node.inputs[::-1]
    else:
        inputs = node.inputs
    if len({source.shape for source in node.inputs}) != 1:
        raise unsupported(node, f"it adds {node.input_shapes[0]} and {node.input_shapes[1]}; they must be equal")
    first = fuser.layer_of(inputs[0])
    second = fuser.layer_of(inputs[1]) if parts[1] is None else parts[1]
    return Addition(
        name=node.name, inputs=(first, second), shape=node.shape, path=node.path, upsample=parts[1] is not None
    )


def _halved(fuser: Fuser, node: Node) -> Layer | None:
    """The layer of which ``node`` is the enlargement by 2, cut at the bottom and the right; or None."""
    if isinstance(node.op, Slice) and fuser.alone(node):
        channels, *sides = node.op.ranges
        inner = node.inputs[0]
        if channels != (0, inner.shape[0], 1) or any(start or step != 1 for start, _, step in sides):
            return None
        # At most one row or column goes, or the smaller map would not be the half of the larger one.
        if any(before - after > 1 for before, after in zip(inner.shape[1:], node.shape[1:], strict=True)):
            return None
        node = inner
    if isinstance(node.op, Nearest) and node.op.factor == (2, 2) and fuser.alone(node):
        return fuser.source(node)
    return None


def _nothing(fuser: Fuser, node: Node) -> None:
    """Enlargements and their cuts are part of the sum that reads them."""


def _mean(fuser: Fuser, node: Node) -> Layer:
    op, source = node.op, fuser.source(node)
    assert isinstance(op, GlobalPool)
    if op.function != "avg":
        raise unsupported(node, "only the average has")
    if source.shape[1:] == (1, 1):
        return source
    return Mean(name=node.name, inputs=(source,), shape=(source.shape[0], 1, 1), path=node.path)


def _reshape(fuser: Fuser, node: Node) -> Layer:
    """A map becomes a vector, which is read by linear layers: they know the map's shape from its layer."""
    layer = fuser.source(node)
    if len(node.shape) != 1 or (layer.shape[1:] != (1, 1) and not _read_by_linear(fuser, node)):
        raise unsupported(node, f"only (C, 1, 1) to (C,), or any map before a linear layer; this is {layer.shape}")
    return layer


def _read_by_linear(fuser: Fuser, node: Node) -> bool:
    readers = fuser.graph.consumers(node)
    return node not in fuser.graph.outputs and all(isinstance(reader.op, Linear) for reader in readers)


def _pad(fuser: Fuser, node: Node) -> Layer:
    op = node.op
    assert isinstance(op, Pad)
    if op.mode == "constant" and op.value != 0:
        raise unsupported(node, "the constant may be 0")
    return Padding(
        name=node.name,
        inputs=(fuser.source(node),),
        shape=node.shape,
        path=node.path,
        replicate=op.mode == "replicate",
        sides=op.sides,
    )


def _rnnpool(fuser: Fuser, node: Node) -> Layer:
    op = node.op
    assert isinstance(op, RNNPool)
    if op.cell != "fastgrnn":
        raise unsupported(node, "its cell may be fastgrnn")
    if any(stride > kernel for stride, kernel in zip(op.stride, op.kernel, strict=True)):
        raise unsupported(node, "its stride may be at most its kernel")  # the C keeps no rows or columns to be skipped
    ones = op.module.rnn1.weight_hidden.new_ones(4 * op.hidden2)
    return RNNPooling(
        name=node.name,
        inputs=(fuser.source(node),),
        shape=node.shape,
        path=node.path,
        module=op.module,
        factor=ones,
        offset=torch.zeros_like(ones),
    )


def _l2_norm(fuser: Fuser, node: Node) -> Layer:
    op = node.op
    assert isinstance(op, L2Norm)
    return Normalisation(
        name=node.name,
        inputs=(fuser.source(node),),
        shape=node.shape,
        path=node.path,
        eps=op.eps,
        added=op.added,
    )


_RULES: dict[type[Op], Callable[[Fuser, Node], Layer | None]] = {
    Image: _image,
    Conv: fuse_convolutions.conv,
    Linear: fuse_convolutions.linear,
    Activation: _activation,
    Affine: _affine,
    Add: _add,
    Nearest: _nothing,
    Slice: _nothing,
    GlobalPool: _mean,
    Pool: fuse_convolutions.pool,
    Reshape: _reshape,
    Pad: _pad,
    RNNPool: _rnnpool,
    L2Norm: _l2_norm,
}
