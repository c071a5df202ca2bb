"""The range of every stored tensor, found on images: least and greatest, percentiles, or the least square error.

Two passes over the images: the first finds the extremes, the second counts values in bins between them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.integer.layers import Layer
from rnnpool.integer.real_network import RealNetwork

BINS = 2048
_LEVELS = 255


@dataclass
class Statistics:
    """What was seen of a layer's result."""

    low: float = float("inf")
    high: float = float("-inf")
    channel_low: NDArray[np.float64] | None = None  # (C,)
    channel_high: NDArray[np.float64] | None = None
    counts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    zeros: int = 0  # how many values are 0, which every quantisation holds exactly

    @property
    def centres(self) -> NDArray[np.float64]:
        """Of the bins."""
        edges = np.linspace(self.low, self.high, BINS + 1)
        return (edges[1:] + edges[:-1]) / 2

    def widen(self, value: Tensor) -> None:
        low, high = (edge.double().numpy() for edge in torch.aminmax(value.transpose(0, 1).flatten(1), dim=1))
        if self.channel_low is not None and self.channel_high is not None:
            low, high = np.minimum(low, self.channel_low), np.maximum(high, self.channel_high)
        self.channel_low, self.channel_high = low, high
        self.low, self.high = float(low.min()), float(high.max())

    def count(self, value: Tensor) -> None:
        self.zeros += int((value == 0).sum())
        if self.low < self.high:
            self.counts += torch.histc(value.float(), BINS, self.low, self.high).double().numpy()


def observe(network: RealNetwork, batches: Iterable[Tensor]) -> dict[Layer, Statistics]:
    """Statistics of every layer on batches (B, C, H, W), which are gone through twice.

    Raises:
        InputError: no images, or a result that is not finite.
    """
    batches = list(batches)
    if not batches:
        raise InputError("calibration needs at least one image")
    seen = {layer: Statistics() for layer in network.layers}
    for batch in batches:
        network.run(batch, lambda layer, value: seen[layer].widen(value), observe=True)
    for layer, statistics in seen.items():
        if not np.isfinite([statistics.low, statistics.high]).all():
            raise InputError(f"layer {layer.name} gives values that are not finite ({statistics.low})")
    for batch in batches:
        network.run(batch, lambda layer, value: seen[layer].count(value))
    return seen


def minmax(statistics: Statistics) -> tuple[float, float]:
    """All that was seen."""
    return statistics.low, statistics.high


def percentile(share: float) -> Callable[[Statistics], tuple[float, float]]:
    """Without the outermost (1 - share) / 2 of the values on either side."""

    def choose(statistics: Statistics) -> tuple[float, float]:
        total = statistics.counts.sum()
        if not total:
            return minmax(statistics)
        sums = np.cumsum(statistics.counts) / total
        outside = (1 - share) / 2
        edges = np.linspace(statistics.low, statistics.high, BINS + 1)
        first = int(np.searchsorted(sums, outside, side="right"))
        last = int(np.searchsorted(sums, 1 - outside, side="left"))
        return float(edges[first]), float(edges[min(last, BINS - 1) + 1])

    return choose


def least_squares(statistics: Statistics) -> tuple[float, float]:
    """The range whose 256 levels represent the values with the least mean square error.

    Values inside err by a twelfth of a step's square, zeros not at all, values outside by their distance from it.
    """
    low, high = min(statistics.low, 0.0), max(statistics.high, 0.0)
    total = statistics.counts.sum()
    if not total:
        return minmax(statistics)
    centres, shares = statistics.centres, statistics.counts / total
    factors = np.linspace(0.3, 1.0, 36)
    lows = low * factors if low < 0 else np.zeros(1)
    highs = high * factors if high > 0 else np.zeros(1)
    below = (np.minimum(centres - lows[:, None], 0) ** 2) @ shares  # (lows,)
    above = (np.maximum(centres - highs[:, None], 0) ** 2) @ shares  # (highs,)
    steps = (highs[None] - lows[:, None]) / _LEVELS
    error = below[:, None] + above[None] + (1 - statistics.zeros / total) * steps**2 / 12
    i, j = np.unravel_index(int(error.argmin()), error.shape)
    return float(lows[i]), float(highs[j])


METHODS: dict[str, Callable[[Statistics], tuple[float, float]]] = {
    "minmax": minmax,
    "percentile 99.99": percentile(0.9999),
    "percentile 99.9": percentile(0.999),
    "mse": least_squares,
}
