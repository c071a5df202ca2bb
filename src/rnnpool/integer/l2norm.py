"""Normalisation of each pixel to length 1 over its channels, in integers.

A pixel's length comes from an integer square root with 4 bits behind the point, its inverse from one division:

    S = max(1, bias + sum (q - zero_in)^2)      uint32 below 2^24
    n = floor(sqrt(256 S))                      16 times the length
    r = floor(numerator / n)                    2^16 / (length * scale_out), in units of the input
    byte = saturate(zero_out + (((q - zero_in) * r + 2^15) >> 16))
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnpool.errors import InputError
from rnnpool.integer.arithmetic import saturate_u8
from rnnpool.integer.tensors import Quantisation

LENGTH_BITS = 4
FACTOR_BITS = 16
SUM_LIMIT = 1 << 24
FINEST_OUTPUT = 2.0 ** (FACTOR_BITS + LENGTH_BITS - 32)  # an output's scale has to be above it


@dataclass(frozen=True)
class IntL2Norm:
    """The operator's integers; see the module."""

    bias: int
    numerator: int
    zero_in: int
    zero_out: int

    def run(self, x: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(C, H, W) -> (C, H, W)."""
        centred = x.astype(np.int64) - self.zero_in
        sums = np.maximum(self.bias + (centred * centred).sum(axis=0), 1)
        # Exact: the operand is below 2^32 and float64's square root is rounded correctly.
        lengths = np.floor(np.sqrt((sums << 2 * LENGTH_BITS).astype(np.float64))).astype(np.int64)
        factor = self.numerator // lengths
        return saturate_u8(self.zero_out + ((centred * factor + (1 << (FACTOR_BITS - 1))) >> FACTOR_BITS))


def least_scale(channels: int, eps: float) -> float:
    """The finest scale of inputs with which the sum of ``channels`` squares and ``eps`` stays below its limit."""
    room = SUM_LIMIT - 1 - channels * 255**2
    return (eps / room) ** 0.5 if room > 0 else 0.0  # without room no scale would do


def quantise_l2norm(x: Quantisation, y: Quantisation, channels: int, eps: float) -> IntL2Norm:
    """Integers of x / sqrt(sum x^2 + eps).

    Raises:
        InputError: so many channels that the sum may overflow, or an output too fine for 16 bits a factor.
    """
    bias = round(eps / x.scale**2)
    most = max(x.zero_point, 255 - x.zero_point)
    if (reach := channels * most**2 + bias) >= SUM_LIMIT:
        raise InputError(f"the squares of {channels} channels may reach {reach}; the limit is {SUM_LIMIT}")
    numerator = round(2.0 ** (FACTOR_BITS + LENGTH_BITS) / y.scale)
    # |q - zero_in| <= length, so that (q - zero_in) * factor <= numerator / 2^LENGTH_BITS: 32 bits hold it.
    if numerator >= 1 << 32:
        raise InputError(f"the output's scale is {y.scale:.3g}; it must be above 2^-12")
    return IntL2Norm(bias, numerator, x.zero_point, y.zero_point)
