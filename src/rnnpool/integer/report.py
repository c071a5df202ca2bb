"""Where an integer network loses: the error of every layer's result against the real one.

SQNR is the ratio of the real result's mean square to the error's, in decibels; 6 dB are a bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnpool.integer.layers import Layer
from rnnpool.integer.module import from_bytes
from rnnpool.integer.network import ChannelScales, IntNetwork, IntNode
from rnnpool.integer.real_network import RealNetwork
from rnnpool.integer.tensors import Quantisation


@dataclass
class LayerError:
    """What was measured of a layer's result over some images.

    Attributes:
        sqnr: dB, of the integer network.
        own_sqnr: dB, of the layer alone, whose inputs are the real ones rounded to their bytes: what it adds itself.
        cut: share of the results at an end of the range that a real result was cut at (clips of ReLU do not count).
    """

    node: IntNode
    signal: float = 0.0
    error: float = 0.0
    own_error: float = 0.0
    cut: float = 0.0
    count: int = 0
    bias: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))  # (C,) mean of real - integer results

    @property
    def sqnr(self) -> float:
        return decibels(self.signal, self.error)

    @property
    def own_sqnr(self) -> float:
        return decibels(self.signal, self.own_error)


def decibels(signal: float, error: float) -> float:
    """10 log10(signal / error); infinite without error."""
    if error == 0:
        return float("inf")
    return float(10 * np.log10(max(signal, 1e-300) / error))


def layer_errors(
    real: RealNetwork, network: IntNetwork, images: Sequence[NDArray[np.uint8]], *, alone: bool = True
) -> list[LayerError]:
    """Errors of all layers but the image, over images (C, H, W) of any sizes that the network takes.

    Args:
        real: what ``network`` was made from.
        alone: measure layers alone as well, which takes twice the time; else ``own_sqnr`` is infinite.
    """
    errors = [LayerError(node) for node in network.nodes]
    for image in images:
        values: list[NDArray[np.float64]] = []

        def keep(_: Layer, value: object, values: list = values) -> None:
            values.append(value[0].double().numpy())  # type: ignore[index]

        real.run(from_bytes(image[None]), keep)
        stored: list[NDArray] = []
        network.run(image, lambda _, value, stored=stored: stored.append(value))  # type: ignore[misc]
        for number, entry in enumerate(errors):
            if entry.node.inputs:
                _measure(entry, network, values, stored[number], values[number], alone)
    for entry in errors:
        entry.cut /= max(1, entry.count)
    return errors[1:]


def _measure(
    entry: LayerError,
    network: IntNetwork,
    values: Sequence[NDArray[np.float64]],
    stored: NDArray,
    value: NDArray[np.float64],
    alone: bool,
) -> None:
    node = entry.node
    error = value - node.output.dequantise(stored)
    entry.signal += float((value**2).sum())
    entry.error += float((error**2).sum())
    entry.count += value.size
    entry.bias = entry.bias + error.sum(axis=(1, 2))
    if isinstance(node.output, Quantisation):
        low, high = node.output.ends
        half = node.output.scale / 2
        entry.cut += float((value < low - half).sum() + (value > high + half).sum())
    if alone:
        inputs = [_round(network.nodes[source], values[source]) for source in node.inputs]
        entry.own_error += float(((value - node.output.dequantise(node.run(*inputs))) ** 2).sum())


def _round(node: IntNode, value: NDArray[np.float64]) -> NDArray[np.uint8]:
    assert not isinstance(node.output, ChannelScales)
    return node.output.quantise(value)


def output_sqnr(real: RealNetwork, network: IntNetwork, images: Sequence[NDArray[np.uint8]]) -> float:
    """Mean SQNR in dB of the network's outputs, each output channel counted alike: scores count as boxes do."""
    signal: list[NDArray[np.float64]] = []
    error: list[NDArray[np.float64]] = []
    for image in images:
        wanted = [value[0].double().numpy() for value in real.run(from_bytes(image[None]))]
        found = network.real_outputs(network.run(image))
        signal.append(_channel_sums(wanted))
        error.append(_channel_sums([a - b for a, b in zip(wanted, found, strict=True)]))
    total, lost = np.sum(signal, axis=0), np.sum(error, axis=0)
    return float(np.mean([decibels(s, e) for s, e in zip(total, lost, strict=True) if s > 0]))


def _channel_sums(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate([(value**2).reshape(len(value), -1).sum(axis=1) for value in values])
