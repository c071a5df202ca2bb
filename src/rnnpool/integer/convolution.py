"""Dense, grouped and depthwise convolutions in integers: quantisation of their parameters, and the exact result."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rnnpool.errors import InputError
from rnnpool.integer.arithmetic import (
    ACCUMULATOR_LIMIT,
    FRACTION,
    RESULT_LIMIT,
    Ints,
    requantise,
    saturate_i16,
    saturate_u8,
    to_multiplier,
)
from rnnpool.integer.tensors import NIBBLE, Quantisation, per_channel_int4, per_channel_int8

# Weights that move the output by less than this of its unit get a coarser scale, so that biases stay within 2^23.
SMALLEST_RATIO = 2.0**-14
_ROUNDING = 1.02  # room for weights that are rounded up


@dataclass(frozen=True)
class IntConv:
    """A convolution's integers.

    ``depthwise``: channel i reads channel i only and weights are (C, 1, kh, kw). ``groups`` of others: the outputs of a
    group read the input channels of the same group only, and weights are (O, I / groups, kh, kw).

    Accumulator: bias + sum of weights * byte, where padding holds the input's zero point. Result:
    ``requantise(accumulator, multiplier)``, saturated to uint8 or int16.
    """

    weights: NDArray[np.int8]  # (O, I / groups, kh, kw)
    bias: NDArray[np.int32]  # (O,)
    multiplier: NDArray[np.int32]  # (O,)
    stride: tuple[int, int]
    padding: tuple[int, int]
    zero_in: int
    zero_out: int  # of the uint8 result; what its rows are padded with
    depthwise: bool = False
    groups: int = 1  # files of before there were groups have none

    @property
    def nibbles(self) -> bool:
        """Whether 4 bits hold the weights."""
        return bool(np.abs(self.weights).max(initial=0) <= NIBBLE)

    def real_constants(
        self, x: Quantisation, scale_out: NDArray[np.float64] | float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights and bias (O,) of the real convolution that this one rounds: of inputs that ``x`` stores, to results
        of which a stored unit counts ``scale_out`` (one, or one an output channel)."""
        unit = self.multiplier.astype(np.float64) * 2.0**-FRACTION * scale_out  # of an accumulator's count
        sums = self.weights.reshape(len(self.weights), -1).sum(axis=1, dtype=np.int64)
        bias = (self.bias + x.zero_point * sums) * unit - self.zero_out * scale_out
        return self.weights * (unit / x.scale)[:, None, None, None], bias

    def accumulate(self, x: NDArray[np.uint8]) -> Ints:
        """(I, H, W) uint8 -> (O, OH, OW) int64 accumulators."""
        (ph, pw), (sh, sw) = self.padding, self.stride
        padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw)), constant_values=self.zero_in)
        kernel = self.weights.shape[2:]
        windows = sliding_window_view(padded, kernel, axis=(1, 2))[:, ::sh, ::sw]  # (I, OH, OW, kh, kw)
        # Exact in float64: every sum of products lies far below 2^53.
        real, weights = windows.astype(np.float64), self.weights.astype(np.float64)
        if self.depthwise:
            sums = np.einsum("cyxhw,chw->cyx", real, weights[:, 0])
        else:
            parts = zip(np.split(weights, self.groups), np.split(real, self.groups), strict=True)
            sums = np.concatenate([np.tensordot(w, part, axes=([1, 2, 3], [0, 3, 4])) for w, part in parts])
        return sums.astype(np.int64) + self.bias.astype(np.int64)[:, None, None]

    def run(self, x: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(I, H, W) -> (O, OH, OW) uint8."""
        return saturate_u8(requantise(self.accumulate(x), self.multiplier[:, None, None]))

    def run_i16(self, x: NDArray[np.uint8]) -> NDArray[np.int16]:
        """(I, H, W) -> (O, OH, OW) int16."""
        return saturate_i16(requantise(self.accumulate(x), self.multiplier[:, None, None]))

    def check_limits(self, *, bytes_out: bool = True) -> None:
        """InputError if some input could leave the ranges that the packed kernels need (arithmetic.py)."""
        positive = np.maximum(self.weights, 0).reshape(len(self.weights), -1).sum(axis=1, dtype=np.int64)
        negative = np.minimum(self.weights, 0).reshape(len(self.weights), -1).sum(axis=1, dtype=np.int64)
        reach = np.maximum(np.abs(self.bias + 255 * positive), np.abs(self.bias + 255 * negative))
        reach = np.maximum(reach, np.abs(self.bias.astype(np.int64)))
        if (worst := int(reach.max())) >= ACCUMULATOR_LIMIT:
            raise InputError(f"an accumulator may reach {worst}; the limit is {ACCUMULATOR_LIMIT} (too many channels)")
        result = np.abs(requantise(reach, np.abs(self.multiplier.astype(np.int64))))
        if bytes_out and (worst := int(result.max())) >= RESULT_LIMIT:
            raise InputError(f"a result may reach {worst} before it is cut to 0..255; the limit is {RESULT_LIMIT}")


def quantise_convolution(
    weights: NDArray,
    bias: NDArray | None,
    x: Quantisation,
    y: Quantisation,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    depthwise: bool = False,
    groups: int = 1,
    nibbles: bool = False,
) -> IntConv:
    """Integers of a convolution (batch norm folded in) whose uint8 output has quantisation ``y``.

    Args:
        weights: (O, I / groups, kh, kw) real; depthwise (C, 1, kh, kw), whose ``groups`` are not counted.
        bias: (O,) real.
        nibbles: weights of 4 bits instead of 8.

    Raises:
        InputError: the output's range is too narrow for its weights, or a sum may overflow.
    """
    scale_out = np.full(len(weights), y.scale)
    conv = _quantise(weights, bias, x, scale_out, y.zero_point, stride, padding, depthwise, groups, nibbles)
    conv.check_limits()
    return conv


def quantise_to_i16(
    weights: NDArray,
    bias: NDArray | None,
    x: Quantisation,
    scale_out: NDArray[np.float64],
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    depthwise: bool = False,
    groups: int = 1,
) -> IntConv:
    """Integers of a convolution with int16 output, real = scale_out[channel] * stored."""
    conv = _quantise(weights, bias, x, np.asarray(scale_out, np.float64), 0, stride, padding, depthwise, groups)
    conv.check_limits(bytes_out=False)
    return conv


def _quantise(
    weights: NDArray,
    bias: NDArray | None,
    x: Quantisation,
    scale_out: NDArray[np.float64],
    zero_out: int,
    stride: tuple[int, int],
    padding: tuple[int, int],
    depthwise: bool,
    groups: int,
    nibbles: bool = False,
) -> IntConv:
    real_bias = np.zeros(len(weights)) if bias is None else np.asarray(bias, np.float64)
    # Coarser weights where they would not be felt, and where a sum of so many would leave the accumulator.
    smallest = np.maximum(
        SMALLEST_RATIO * scale_out / x.scale, _fitting_scale(weights, real_bias, x, scale_out * zero_out)
    )
    stored, scales = per_channel_int4(weights, smallest) if nibbles else per_channel_int8(weights, smallest)
    ratio = x.scale * scales / scale_out
    # The output's zero point, and what the input's zero point contributes to every sum.
    start = np.rint(real_bias / (x.scale * scales) + zero_out / ratio)
    start -= x.zero_point * stored.reshape(len(stored), -1).sum(axis=1, dtype=np.int64)
    if not (np.abs(start) < ACCUMULATOR_LIMIT).all():
        raise InputError(f"a bias reaches {np.abs(start).max():.0f}; the limit is {ACCUMULATOR_LIMIT}")
    multiplier = to_multiplier(ratio)
    if depthwise:  # 24 bits, which with 9 weights and a bias make 4 words
        multiplier = np.minimum((multiplier.astype(np.int64) + 128) & -256, 2**31 - 256).astype(np.int32)
    return IntConv(
        stored, start.astype(np.int32), multiplier, stride, padding, x.zero_point, zero_out, depthwise, groups
    )


def _fitting_scale(
    weights: NDArray, bias: NDArray[np.float64], x: Quantisation, offset: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The least scales of the weights (O,) at which no input overflows; ``offset`` is what zero_out adds."""
    flat = np.asarray(weights, np.float64).reshape(len(weights), -1)
    start = (bias + offset) / x.scale - x.zero_point * flat.sum(axis=1)
    high, low = start + 255 * np.maximum(flat, 0).sum(axis=1), start + 255 * np.minimum(flat, 0).sum(axis=1)
    reach = np.maximum(np.maximum(high, -low), np.abs(start))
    return reach * _ROUNDING / ACCUMULATOR_LIMIT
