"""Quantised tensors: what a stored byte means."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnpool.errors import InputError
from rnnpool.integer.arithmetic import saturate_u8


@dataclass(frozen=True)
class Quantisation:
    """real = scale * (byte - zero_point), bytes 0..255."""

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"scale is {self.scale!r}; it must be positive and finite")
        if not 0 <= self.zero_point <= 255:
            raise InputError(f"zero_point is {self.zero_point}; it must lie within 0..255")

    @classmethod
    def of_range(cls, low: float, high: float) -> "Quantisation":
        """The finest that holds low..high and 0 exactly."""
        if not (np.isfinite(low) and np.isfinite(high) and low <= high):
            raise InputError(f"range is {low!r}..{high!r}; it must be finite and ordered")
        low, high = min(low, 0.0), max(high, 0.0)
        scale = (high - low) / 255 or 1.0
        return cls(scale, int(np.clip(np.rint(-low / scale), 0, 255)))

    @property
    def ends(self) -> tuple[float, float]:
        """What the bytes 0 and 255 stand for."""
        return self.scale * -self.zero_point, self.scale * (255 - self.zero_point)

    def quantise(self, real: NDArray) -> NDArray[np.uint8]:
        """Nearest byte, halves to even, saturated."""
        return saturate_u8(np.rint(np.asarray(real, np.float64) / self.scale) + self.zero_point)

    def dequantise(self, stored: NDArray) -> NDArray[np.float64]:
        return self.scale * (np.asarray(stored, np.float64) - self.zero_point)


@dataclass(frozen=True)
class ChannelScales:
    """real = scale[channel] * stored, int16."""

    scale: NDArray[np.float64]  # (C,)

    def dequantise(self, stored: NDArray) -> NDArray[np.float64]:
        """(..., C, H, W)."""
        return self.scale[:, None, None] * np.asarray(stored, np.float64)


# The networks' input (v - 128) / 128 is the camera's byte itself.
IMAGE = Quantisation(1 / 128, 128)

NIBBLE = 7  # the largest weight of 4 bits; -8 is not used


def per_channel_int8(
    weights: NDArray, smallest: NDArray[np.float64] | float = 0.0
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Symmetric weights -127..127 and the scale of each output channel (axis 0).

    Args:
        smallest: lower bounds of the scales (scalar or one a channel); a channel of zeros gets its bound, or 1.
    """
    weights = np.asarray(weights, np.float64)
    largest = np.abs(weights.reshape(len(weights), -1)).max(axis=1, initial=0.0)
    scales = np.maximum(largest / 127, smallest)
    scales = np.where(scales > 0, scales, 1.0)
    shape = (-1,) + (1,) * (weights.ndim - 1)
    return np.clip(np.rint(weights / scales.reshape(shape)), -127, 127).astype(np.int8), scales


def per_channel_int4(
    weights: NDArray, smallest: NDArray[np.float64] | float = 0.0
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Symmetric weights -7..7 and the scale of each output channel, of those tried the one with the least square error.

    With so few levels it pays to cut a channel's largest weights, so that the others get finer steps.

    Args:
        smallest: as in ``per_channel_int8``.
    """
    weights = np.asarray(weights, np.float64)
    flat = weights.reshape(len(weights), -1)
    largest = np.abs(flat).max(axis=1, initial=0.0)
    scales = np.maximum(np.linspace(0.5, 1.0, 26)[:, None] * largest / NIBBLE, smallest)  # (tried, O)
    scales = np.where(scales > 0, scales, 1.0)
    stored = np.clip(np.rint(flat / scales[..., None]), -NIBBLE, NIBBLE)  # (tried, O, I)
    errors = ((stored * scales[..., None] - flat) ** 2).sum(axis=2)
    best, channels = errors.argmin(axis=0), np.arange(len(flat))
    return stored[best, channels].reshape(weights.shape).astype(np.int8), scales[best, channels]
