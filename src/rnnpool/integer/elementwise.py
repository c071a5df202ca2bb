"""Sums of two tensors and averages over a map, in integers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnpool.integer.arithmetic import requantise, saturate_u8, to_multiplier
from rnnpool.integer.tensors import Quantisation

_FACTOR_BITS = 14


@dataclass(frozen=True)
class IntAdd:
    """a + b: saturate(requantise(bias + factor_a * a + factor_b * b, multiplier)); factors of 14 bits.

    With ``upsample`` b is half as large: ``upsample_nearest`` gives it the size of a.
    """

    factor_a: int
    factor_b: int
    bias: int
    multiplier: int
    upsample: bool = False

    def run(self, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Tensors of one shape (but for ``upsample``) -> their sum."""
        if self.upsample:
            b = upsample_nearest(b, *a.shape[-2:])
        sums = self.bias + self.factor_a * a.astype(np.int64) + self.factor_b * b.astype(np.int64)
        return saturate_u8(requantise(sums, self.multiplier))


def quantise_add(a: Quantisation, b: Quantisation, y: Quantisation, *, upsample: bool = False) -> IntAdd:
    """Integers of y = a + b, or of a + enlarged b."""
    unit = max(a.scale, b.scale) / (1 << _FACTOR_BITS)  # real value of one count of the sum
    factor_a, factor_b = round(a.scale / unit), round(b.scale / unit)
    ratio = unit / y.scale
    bias = round(y.zero_point / ratio) - factor_a * a.zero_point - factor_b * b.zero_point
    return IntAdd(factor_a, factor_b, bias, int(to_multiplier(ratio)), upsample)


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


@dataclass(frozen=True)
class IntPad:
    """More pixels at the left, right, top and bottom: the border's, or the zero point."""

    sides: tuple[int, int, int, int]
    replicate: bool
    zero_point: int

    def run(self, x: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(C, H, W) -> (C, H + top + bottom, W + left + right)."""
        left, right, top, bottom = self.sides
        around = ((0, 0), (top, bottom), (left, right))
        if self.replicate:
            return np.pad(x, around, mode="edge")
        return np.pad(x, around, constant_values=self.zero_point)
