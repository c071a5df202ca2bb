"""Sums of two tensors and averages over a map, in integers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnpool.integer.arithmetic import requantise, saturate_u8, to_multiplier
from rnnpool.integer.tensors import Quantisation

_FACTOR_BITS = 14


@dataclass(frozen=True)
class IntAdd:
    """a + b: saturate(requantise(bias + factor_a * a + factor_b * b, multiplier)); factors of 14 bits."""

    factor_a: int
    factor_b: int
    bias: int
    multiplier: int

    def run(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Tensors of one shape -> their sum."""
        sums = self.bias + self.factor_a * a.astype(np.int64) + self.factor_b * b.astype(np.int64)
        return saturate_u8(requantise(sums, self.multiplier))


def quantise_add(a: Quantisation, b: Quantisation, y: Quantisation) -> IntAdd:
    """Integers of y = a + b."""
    unit = max(a.scale, b.scale) / (1 << _FACTOR_BITS)  # real value of one count of the sum
    factor_a, factor_b = round(a.scale / unit), round(b.scale / unit)
    ratio = unit / y.scale
    bias = round(y.zero_point / ratio) - factor_a * a.zero_point - factor_b * b.zero_point
    return IntAdd(factor_a, factor_b, bias, int(to_multiplier(ratio)))


@dataclass(frozen=True)
class IntMean:
    """Mean over a map of ``count`` pixels: saturate(requantise(bias + sum, multiplier))."""

    bias: int
    multiplier: int
    count: int

    def run(self, x: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(C, H, W) -> (C, 1, 1)."""
        sums = x.astype(np.int64).sum(axis=(1, 2), keepdims=True) + self.bias
        return saturate_u8(requantise(sums, self.multiplier))


def quantise_mean(x: Quantisation, y: Quantisation, count: int) -> IntMean:
    """Integers of a global average over ``count`` pixels (at least 3, so that the ratio stays below a half)."""
    ratio = x.scale / (y.scale * count)
    return IntMean(round(y.zero_point / ratio) - x.zero_point * count, int(to_multiplier(ratio)), count)


def upsample_nearest(x: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """(C, h, w) doubled, then cut to (C, height, width)."""
    return x.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]
