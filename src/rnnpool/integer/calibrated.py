"""All that calibration decides of a network's integers, apart from its weights: to be kept, and used again.

Quantisation-aware training calibrates once. Its weights are then fitted to these ranges, and are shipped with them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnpool.errors import InputError
from rnnpool.integer.calibrate import METHODS, Statistics, minmax
from rnnpool.integer.layers import Layer
from rnnpool.integer.layers.base import Range
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.quantise import is_vector, quantise
from rnnpool.integer.real_network import RealNetwork
from rnnpool.integer.widths import set_widths


@dataclass(frozen=True)
class LayerRanges:
    """Of one layer.

    Attributes:
        ends: of its result.
        channels: of its result's channels, where they are scaled one by one.
        inside: what the layer observed of itself.
    """

    ends: tuple[float, float]
    channels: Range
    inside: dict[str, Range]


@dataclass(frozen=True)
class Calibrated:
    """How a network is stored in integers.

    Attributes:
        method: by which the ranges were chosen.
        narrow: 8 bits for what RNNPool keeps between rows; 16 otherwise.
        nibbles: as of ``convert``.
        ranges: by the layers' names.
    """

    method: str
    narrow: bool
    nibbles: int
    ranges: dict[str, LayerRanges]

    @classmethod
    def of(cls, statistics: Mapping[Layer, Statistics], method: str, *, narrow: bool, nibbles: int) -> "Calibrated":
        """The ranges that ``quantise`` chooses from statistics by a method of ``calibrate.METHODS``."""
        ranges = {}
        for layer, seen in statistics.items():
            assert seen.channel_low is not None
            assert seen.channel_high is not None
            ends = minmax(seen) if is_vector(layer) else METHODS[method](seen)
            ranges[layer.name] = LayerRanges(ends, (seen.channel_low, seen.channel_high), layer.observations())
        return cls(method, narrow, nibbles, ranges)

    def _prepare(self, network: RealNetwork) -> dict[Layer, Statistics]:
        """Tell the layers what was decided. The extremes of the result are the ranges."""
        set_widths(network, narrow=self.narrow, nibbles=self.nibbles)
        statistics = {}
        for layer in network.layers:
            if layer.name not in self.ranges:
                raise InputError(f"{network.name} was calibrated without layer {layer.name}: it is another network")
            ranges = self.ranges[layer.name]
            layer.recall(ranges.inside)
            statistics[layer] = Statistics(*ranges.ends, *ranges.channels)
        return statistics

    def quantise(self, network: RealNetwork) -> IntNetwork:
        """The integers of every layer.

        Raises:
            InputError: another network than was calibrated, or constants that do not fit their integers.
        """
        return quantise(network, self._prepare(network), minmax)

    def to_json(self) -> str:
        layers = {
            name: {"ends": ranges.ends, "channels": _lists(ranges.channels)}
            | {"inside": {key: _lists(seen) for key, seen in ranges.inside.items()}}
            for name, ranges in self.ranges.items()
        }
        settings = {"method": self.method, "state_bits": 8 if self.narrow else 16, "nibbles": self.nibbles}
        return json.dumps(settings | {"layers": layers})

    @classmethod
    def from_json(cls, text: str) -> "Calibrated":
        """The inverse of ``to_json``, to the last bit."""
        try:
            settings = json.loads(text)
            ranges = {
                name: LayerRanges(
                    (float(entry["ends"][0]), float(entry["ends"][1])),
                    _arrays(entry["channels"]),
                    {key: _arrays(seen) for key, seen in entry["inside"].items()},
                )
                for name, entry in settings["layers"].items()
            }
            return cls(settings["method"], settings["state_bits"] == 8, settings["nibbles"], ranges)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"ranges of an integer network are expected, as training writes them: {error!r}"
            ) from error


def _lists(ends: Range) -> list[list[float]]:
    return [edge.tolist() for edge in ends]


def _arrays(ends: Any) -> Range:
    low, high = (np.array(edge, np.float64) for edge in ends)
    return low, high
