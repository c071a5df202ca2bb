"""Which numbers of a network get fewer bits than usual: RNNPool's states, and weights where they are many."""

from rnnpool.integer.layers import Convolution, RNNPooling
from rnnpool.integer.real_network import RealNetwork

_FEWEST_NIBBLES = 2048


def set_widths(network: RealNetwork, *, narrow: bool, nibbles: int) -> None:
    """Tell the layers. ``narrow``: 8 bits for what RNNPool keeps between rows, else 16.

    ``nibbles``: the 1x1 convolutions of maps with at most so many pixels get weights of 4 bits. They are unpacked
    whenever they are used, which costs little where pixels are few, and that is also where a network has most of its
    weights. Small layers (fewer than 2048 weights) and those that end the network keep their 8 bits.
    """
    for layer in network.layers:
        if isinstance(layer, RNNPooling):
            layer.narrow = narrow
        if isinstance(layer, Convolution):
            dense = not layer.depthwise and layer.groups == 1
            pointwise = dense and layer.weight.shape[2:] == (1, 1) and layer.stride == (1, 1)
            few = layer.shape[1] * layer.shape[2] <= nibbles
            inside = layer not in network.outputs
            layer.nibbles = pointwise and few and inside and layer.weight.numel() >= _FEWEST_NIBBLES
