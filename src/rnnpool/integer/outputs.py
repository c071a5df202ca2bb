"""Outputs in the one form that kernels give them in: int16 results of dense convolutions."""

import torch

from rnnpool.integer.layers import Convolution, Layer
from rnnpool.integer.quantise import is_wide
from rnnpool.integer.real_network import RealNetwork


def widen_outputs(network: RealNetwork) -> None:
    """Let a 1x1 convolution copy every other output: what is clipped, read by a layer, or no convolution."""
    found = network.outputs
    network.outputs = [
        layer if found.count(layer) == 1 and _ends_wide(network, layer) else _copy(layer, number)
        for number, layer in enumerate(found)
    ]
    network.layers += [layer for layer in network.outputs if layer not in network.layers]


def _ends_wide(network: RealNetwork, layer: Layer) -> bool:
    """Whether a layer's result is stored as int16, and by a kernel that there is: depthwise ones give bytes."""
    return isinstance(layer, Convolution) and not layer.depthwise and is_wide(network, layer)


def _copy(layer: Layer, number: int) -> Convolution:
    ones = torch.eye(layer.shape[0])[:, :, None, None]
    name = f"{layer.name}.output.{number}"
    return Convolution(
        name=name, inputs=(layer,), shape=layer.shape, path=layer.path, weight=ones, bias=torch.zeros(len(ones))
    )
