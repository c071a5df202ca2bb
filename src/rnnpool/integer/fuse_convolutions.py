"""What becomes a convolution: convolutions of every shape, linear layers, averages over windows, scalings."""

import torch
from torch import Tensor

from rnnpool.graph import Node
from rnnpool.graph.ops import Conv, Linear, Pool
from rnnpool.integer.fuser import Fuser, unsupported
from rnnpool.integer.layers import Convolution, Layer, Padding
from rnnpool.integer.layers.convolution import MOST_PADDING, kernel_groups


def conv(fuser: Fuser, node: Node) -> Layer:
    assert isinstance(node.op, Conv)
    return _convolution(fuser, node, node.op)


def _convolution(fuser: Fuser, node: Node, op: Conv) -> Layer:
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


def linear(fuser: Fuser, node: Node) -> Layer:
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


def pool(fuser: Fuser, node: Node) -> Layer:
    """An average over windows: a convolution of every channel by constants."""
    op, channels = node.op, node.shape[0]
    assert isinstance(op, Pool)
    weight = torch.full((channels, 1, *op.kernel), 1 / (op.kernel[0] * op.kernel[1]), dtype=torch.float64)
    same = Conv(op.kernel, op.stride, op.padding, (1, 1), channels, weight, None)
    whole = op.count_padding or op.padding == (0, 0)
    if op.function != "avg" or not whole or same.infer(*node.input_shapes) != node.shape:
        raise unsupported(node, "only the average has, over windows of one size: padding counts, no ceil_mode")
    return _convolution(fuser, node, same)


def scale_inputs(node: Node, scale: Tensor) -> None:
    """Multiply what a convolution reads, in its weights."""
    op = node.op
    assert isinstance(op, Conv)
    per_group = op.weight.shape[1]
    channels = scale.to(op.weight).expand(per_group * op.groups).reshape(op.groups, 1, per_group, 1, 1)
    weight = op.weight.reshape(op.groups, -1, *op.weight.shape[1:]) * channels
    node.op = Conv(op.kernel, op.stride, op.padding, op.dilation, op.groups, weight.reshape(op.weight.shape), op.bias)


def scaled(node: Node, source: Layer, scale: Tensor, offset: Tensor) -> Layer:
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
