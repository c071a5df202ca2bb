"""The rounding, the saturation and the ranges of integer inference.

Activations are uint8 with a scale and a zero point (TFLite's int8 plus 128), weights symmetric int8 per output channel,
accumulators int32. A layer rounds once: ``requantise``, which is what the Cortex-M4 does in one SMMULR. Everything
constant (the layer's bias, both zero points) is folded into the accumulator's start value, so nothing is added later.
"""

import numpy as np
from numpy.typing import NDArray

from rnnpool.errors import InputError

Ints = NDArray[np.int64]

FRACTION = 32  # bits of a multiplier behind the point
ACCUMULATOR_LIMIT = 1 << 23  # of |accumulator| in layers whose packed weights share a word (rnp_pointwise.h)
RESULT_LIMIT = 1 << 15  # of |requantised value| before it is saturated


def to_multiplier(ratio: NDArray[np.float64] | float) -> NDArray[np.int32]:
    """M -> m = round(M * 2^32), int32.

    Raises:
        InputError: |M| >= 0.5, so that an accumulator's unit would be coarser than half an output's.
    """
    ratios = np.asarray(ratio, np.float64)
    if not (np.abs(ratios) < 0.5).all():
        worst = float(ratios.flat[int(np.abs(ratios).argmax())])
        raise InputError(
            f"rescaling ratio is {worst:.4g}; it must lie within -0.5..0.5 (the output's range is too narrow)"
        )
    return np.minimum(np.rint(ratios * 2.0**FRACTION), 2**31 - 1).astype(np.int32)


def requantise(accumulator: NDArray, multiplier: NDArray | int) -> Ints:
    """round(accumulator * m / 2^32), halves upwards: (accumulator * m + 2^31) >> 32 in 64 bits."""
    product = np.asarray(accumulator, np.int64) * np.asarray(multiplier, np.int64)
    return (product + (1 << (FRACTION - 1))) >> FRACTION


def saturate_u8(values: NDArray) -> NDArray[np.uint8]:
    """Clip to 0..255."""
    return np.clip(values, 0, 255).astype(np.uint8)


def saturate_i16(values: NDArray) -> NDArray[np.int16]:
    """Clip to -32768..32767."""
    return np.clip(values, -32768, 32767).astype(np.int16)
