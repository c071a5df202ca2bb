"""From a graph to layers: batch norms, activations, enlargements and L2 scales become part of the layer beside them.

Every step is exact: the layers compute what the graph computes, up to the rounding of floats. An operator without
integers is an InputError that names it and its module.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from rnnpool.errors import InputError
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
from rnnpool.integer.layers import (
    Addition,
    Convolution,
    ImageLayer,
    Layer,
    Mean,
    Normalisation,
    Padding,
    RNNPooling,
)
from rnnpool.integer.layers.convolution import MOST_PADDING, kernel_groups
from rnnpool.integer.outputs import widen_outputs
from rnnpool.integer.real_network import RealNetwork

_CLIPS = {"relu": (0.0, float("inf")), "relu6": (0.0, 6.0)}


def fuse(graph: Graph) -> RealNetwork:
    """The layers of a graph. Gradients of their tensors pass to those of the graph.

    Raises:
        InputError: an operator, or a use of one, that has no integers; its name and its module's path are given.
    """
    return _Fuser(fold_batch_norm(graph)).network()


class _Fuser:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.layers: list[Layer] = []
        self.made: dict[Node, Layer] = {}  # the layer whose result is the node's

    def network(self) -> RealNetwork:
        for node in self.graph:
            rule = _RULES.get(type(node.op))
            if rule is None:
                raise unsupported(node)
            layer = rule(self, node)
            if layer is not None:
                self.made[node] = layer
                if layer not in self.layers:
                    self.layers.append(layer)
        outputs = [self.layer_of(node) for node in self.graph.outputs]
        vectors = [len(node.shape) == 1 for node in self.graph.outputs]
        network = RealNetwork(self.graph.name, self.layers, outputs, vectors)
        widen_outputs(network)
        return network

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


def unsupported(node: Node, why: str = "") -> InputError:
    """The error for an operator without integers."""
    what = ", ".join(f"{key}={value}" for key, value in node.op.attributes().items() if key != "module")
    place = f"module {node.path!r}" if node.path else "the network's own forward"
    known = sorted({kind.kind for kind in _RULES})
    reason = why or f"those that have them: {', '.join(known)}"
    return InputError(f"operator {node.kind} ({what}) of {place} has no integer form; {reason}")


def _image(fuser: _Fuser, node: Node) -> Layer:
    return ImageLayer(name=node.name, inputs=(), shape=node.shape, path=node.path)


def _conv(fuser: _Fuser, node: Node) -> Layer:
    assert isinstance(node.op, Conv)
    return _convolution(fuser, node, node.op)


def _convolution(fuser: _Fuser, node: Node, op: Conv) -> Layer:
    """The layer of a node that computes ``op``."""
    if op.dilation != (1, 1):
        raise unsupported(node, "dilation may be (1, 1)")
    weight, groups, depthwise = kernel_groups(op.weight, op.groups, op.stride, op.padding)
    source, (rows, columns) = fuser.source(node), op.padding
    if columns > MOST_PADDING:
        channels, height, width = source.shape
        source = Padding(
            name=f"{node.name}.padding",
            inputs=(source,),
            shape=(channels, height, width + 2 * columns),
            path=node.path,
            replicate=False,
            sides=(columns, columns, 0, 0),
        )
        fuser.layers.append(source)
        columns = 0
    return Convolution(
        name=node.name,
        inputs=(source,),
        shape=node.shape,
        path=node.path,
        weight=weight,
        bias=_bias(op.bias, weight),
        stride=op.stride,
        padding=(rows, columns),
        depthwise=depthwise,
        groups=1 if depthwise else groups,
    )


def _linear(fuser: _Fuser, node: Node) -> Layer:
    """Of a flattened map: a convolution whose kernel is the map."""
    op, source = node.op, fuser.source(node)
    assert isinstance(op, Linear)
    return Convolution(
        name=node.name,
        inputs=(source,),
        shape=(len(op.weight), 1, 1),
        path=node.path,
        weight=op.weight.reshape(-1, *source.shape),
        bias=_bias(op.bias, op.weight),
    )


def _bias(bias: Tensor | None, weight: Tensor) -> Tensor:
    return weight.new_zeros(len(weight)) if bias is None else bias


def _activation(fuser: _Fuser, node: Node) -> Layer:
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
        layer = _scaled(node, layer, torch.ones(1), torch.zeros(1))
    layer.low, layer.high = max(low, layer.low), min(high, layer.high)
    return layer


def _affine(fuser: _Fuser, node: Node) -> Layer:
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
                _scale_inputs(reader, scale)
            return layer
    return _scaled(node, layer, scale, offset)


def _scale_inputs(node: Node, scale: Tensor) -> None:
    """Multiply what a convolution reads, in its weights."""
    op = node.op
    assert isinstance(op, Conv)
    per_group = op.weight.shape[1]
    channels = scale.to(op.weight).expand(per_group * op.groups).reshape(op.groups, 1, per_group, 1, 1)
    weight = op.weight.reshape(op.groups, -1, *op.weight.shape[1:]) * channels
    node.op = Conv(op.kernel, op.stride, op.padding, op.dilation, op.groups, weight.reshape(op.weight.shape), op.bias)


def _scaled(node: Node, source: Layer, scale: Tensor, offset: Tensor) -> Layer:
    """x * scale + offset as a depthwise 3x3 with weights in the middle, which every target has a kernel for."""
    channels = source.shape[0]
    weight = scale.new_zeros(channels, 1, 3, 3)
    weight[:, 0, 1, 1] = scale
    return Convolution(
        name=node.name,
        inputs=(source,),
        shape=source.shape,
        path=node.path,
        weight=weight,
        bias=offset.expand(channels).clone(),
        padding=(1, 1),
        depthwise=channels > 1,
    )


def _add(fuser: _Fuser, node: Node) -> Layer:
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


def _halved(fuser: _Fuser, node: Node) -> Layer | None:
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


def _nothing(fuser: _Fuser, node: Node) -> None:
    """Enlargements and their cuts are part of the sum that reads them."""


def _mean(fuser: _Fuser, node: Node) -> Layer:
    op, source = node.op, fuser.source(node)
    assert isinstance(op, GlobalPool)
    if op.function != "avg":
        raise unsupported(node, "only the average has")
    if source.shape[1:] == (1, 1):
        return source
    return Mean(name=node.name, inputs=(source,), shape=(source.shape[0], 1, 1), path=node.path)


def _reshape(fuser: _Fuser, node: Node) -> Layer:
    """A map becomes a vector, which is read by linear layers: they know the map's shape from its layer."""
    layer = fuser.source(node)
    if len(node.shape) != 1 or (layer.shape[1:] != (1, 1) and not _read_by_linear(fuser, node)):
        raise unsupported(node, f"only (C, 1, 1) to (C,), or any map before a linear layer; this is {layer.shape}")
    return layer


def _read_by_linear(fuser: _Fuser, node: Node) -> bool:
    readers = fuser.graph.consumers(node)
    return node not in fuser.graph.outputs and all(isinstance(reader.op, Linear) for reader in readers)


def _pool(fuser: _Fuser, node: Node) -> Layer:
    """An average over windows: a convolution of every channel by constants."""
    op, channels = node.op, node.shape[0]
    assert isinstance(op, Pool)
    weight = torch.full((channels, 1, *op.kernel), 1 / (op.kernel[0] * op.kernel[1]), dtype=torch.float64)
    conv = Conv(op.kernel, op.stride, op.padding, (1, 1), channels, weight, None)
    whole = op.count_padding or op.padding == (0, 0)
    if op.function != "avg" or not whole or conv.infer(*node.input_shapes) != node.shape:
        raise unsupported(node, "only the average has, over windows of one size: padding counts, no ceil_mode")
    return _convolution(fuser, node, conv)


def _pad(fuser: _Fuser, node: Node) -> Layer:
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


def _rnnpool(fuser: _Fuser, node: Node) -> Layer:
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


def _l2_norm(fuser: _Fuser, node: Node) -> Layer:
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


_RULES: dict[type[Op], Callable[[_Fuser, Node], Layer | None]] = {
    Image: _image,
    Conv: _conv,
    Linear: _linear,
    Activation: _activation,
    Affine: _affine,
    Add: _add,
    Nearest: _nothing,
    Slice: _nothing,
    GlobalPool: _mean,
    Pool: _pool,
    Reshape: _reshape,
    Pad: _pad,
    RNNPool: _rnnpool,
    L2Norm: _l2_norm,
}
