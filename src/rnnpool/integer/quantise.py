"""From real layers and their ranges to an integer network."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from rnnpool.errors import InputError
from rnnpool.integer.calibrate import Statistics, minmax
from rnnpool.integer.layers import Convolution, ImageLayer, Layer
from rnnpool.integer.layers.base import FINEST
from rnnpool.integer.network import ChannelScales, IntNetwork, IntNode, Operator
from rnnpool.integer.real_network import RealNetwork
from rnnpool.integer.tensors import IMAGE, Quantisation

# int16 outputs reach this many times what calibration saw: what lies beyond is cut, and 14 bits are plenty.
_HEADROOM = 2.0
# Vectors reach this many times what calibration saw.
_MARGIN = 1.25


def quantise(
    network: RealNetwork,
    statistics: Mapping[Layer, Statistics],
    choose: Callable[[Statistics], tuple[float, float]],
    metadata: Mapping[str, str] | None = None,
) -> IntNetwork:
    """The integers of every layer.

    Args:
        statistics: of every layer (``calibrate.observe``).
        choose: a range from statistics (``calibrate.METHODS``).
        metadata: entries of the result's; "widened" is added where ranges had to be wider than chosen, by factors.

    Raises:
        InputError: constants that do not fit their integers; the layer is named.
    """
    number = {layer: i for i, layer in enumerate(network.layers)}
    outputs: dict[Layer, Quantisation | ChannelScales] = {}
    nodes, widened = [], []
    for layer in network.layers:
        try:
            op, outputs[layer] = _integers(network, layer, statistics[layer], choose, outputs)
        except InputError as error:
            raise InputError(f"layer {layer.name} ({layer.kind}): {error}") from error
        if (factor := _widening(layer, outputs[layer], statistics[layer], choose)) > 1.005:
            widened.append(f"{layer.name} {factor:.2f}")
        sources = tuple(number[source] for source in layer.inputs)
        nodes.append(IntNode(layer.name, layer.path, op, sources, layer.shape, outputs[layer]))
    return IntNetwork(
        network.name,
        tuple(nodes),
        tuple(number[layer] for layer in network.outputs),
        tuple(network.vectors),
        dict(metadata or {}) | ({"widened": ", ".join(widened)} if widened else {}),
    )


def _integers(
    network: RealNetwork,
    layer: Layer,
    statistics: Statistics,
    choose: Callable[[Statistics], tuple[float, float]],
    outputs: Mapping[Layer, Quantisation | ChannelScales],
) -> tuple[Operator | None, Quantisation | ChannelScales]:
    if isinstance(layer, ImageLayer):
        return None, IMAGE
    inputs = []
    for source in layer.inputs:
        stored = outputs[source]
        assert isinstance(stored, Quantisation)  # wide results are read by nobody
        inputs.append(stored)
    if isinstance(layer, Convolution) and is_wide(network, layer):
        scales = _wide_scales(layer, statistics, inputs[0])
        return layer.quantise_wide(inputs, scales), ChannelScales(scales)
    least = max([layer.least_scale(inputs), *(reader.least_input_scale() for reader in network.consumers(layer))])
    output = inputs[0] if layer.copies else _byte_range(layer, statistics, choose, least)
    op = layer.quantise(inputs, output)
    assert isinstance(op, Operator)
    return op, output


def is_wide(network: RealNetwork, layer: Layer) -> bool:
    """Whether a result is stored as int16: nobody but the user reads it, and nothing has to saturate."""
    unclipped = layer.low == float("-inf") and layer.high == float("inf")
    return layer in network.outputs and not network.consumers(layer) and unclipped


def is_vector(layer: Layer) -> bool:
    """Whether a result has so few values that their ends, let alone their percentiles, are those of chance."""
    return layer.shape[1:] == (1, 1)


def _byte_range(
    layer: Layer, statistics: Statistics, choose: Callable[[Statistics], tuple[float, float]], least_scale: float
) -> Quantisation:
    """The chosen range, or wider about 0 where the integers need it; then a clip at ``layer.high`` comes late."""
    low, high = _chosen(layer, statistics, choose)
    if low == high:  # constantly 0
        return Quantisation.of_range(0.0, max(1.0, 255 * least_scale))
    return Quantisation.of_range(*(edge * max(1.0, 255 * least_scale / (high - low)) for edge in (low, high)))


def _chosen(
    layer: Layer, statistics: Statistics, choose: Callable[[Statistics], tuple[float, float]]
) -> tuple[float, float]:
    """The range that is wanted: within the layer's clip, with 0 in it."""
    low, high = choose(statistics)
    if is_vector(layer):
        low, high = (_MARGIN * edge for edge in minmax(statistics))
    return min(max(low, layer.low), 0.0), max(min(high, layer.high), 0.0)


def _widening(
    layer: Layer,
    output: Quantisation | ChannelScales,
    statistics: Statistics,
    choose: Callable[[Statistics], tuple[float, float]],
) -> float:
    """How many times the wanted range the stored one is; 1 where none was chosen."""
    low, high = _chosen(layer, statistics, choose)
    if layer.copies or isinstance(output, ChannelScales) or low == high:
        return 1.0
    return 255 * output.scale / (high - low)


def _wide_scales(layer: Convolution, statistics: Statistics, x: Quantisation) -> NDArray[np.float64]:
    assert statistics.channel_low is not None
    assert statistics.channel_high is not None
    reach = np.maximum(np.abs(statistics.channel_low), np.abs(statistics.channel_high))
    largest = np.abs(layer.arrays["weight"]).reshape(len(reach), -1).max(axis=1)
    scales = np.maximum(_HEADROOM * reach / 32767, FINEST * x.scale * largest / 127)
    return np.where(scales > 0, scales, 1.0)
