"""Random integer layers: what kernels are tested and timed on."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rnnpool.integer.convolution import IntConv, quantise_to_i16
from rnnpool.integer.recurrent import PROJECTED_UNITS, IntCell, quantise_cell, quantise_projection
from rnnpool.integer.rnnpool2d import IntRNNPool, output_scales
from rnnpool.integer.tensors import Quantisation


def random_map(rng: Generator, channels: int, height: int, width: int) -> NDArray[np.uint8]:
    """Bytes over the whole range, a fifth of them 0 or 255."""
    x = rng.integers(0, 256, (channels, height, width))
    extreme = rng.random(x.shape) < 0.2
    return np.where(extreme, 255 * (x % 2), x).astype(np.uint8)


def random_conv(
    rng: Generator,
    outputs: int,
    channels: int,
    kernel: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    *,
    depthwise: bool = False,
    groups: int = 1,
    most: int = 127,
) -> IntConv:
    """A convolution whose results spread over 0..255 and beyond both ends; some weights are -most or most."""
    drawn = rng.integers(-most, most + 1, (outputs, 1 if depthwise else channels // groups, *kernel))
    weights = np.where(rng.random(drawn.shape) < 0.1, most * np.sign(drawn), drawn).astype(np.int8)
    spread = 90.0 * 73.0 * most / 127 * weights[0].size ** 0.5  # standard deviation of the sum, about
    multiplier = (2.0**32 * rng.uniform(40, 160, outputs) / spread).astype(np.int64)
    zero_in, zero_out = (int(value) for value in rng.integers(0, 256, 2))
    centre = rng.uniform(0, 256, outputs) * 2.0**32 / multiplier
    bias = np.rint(centre) - 128 * weights.reshape(outputs, -1).sum(axis=1, dtype=np.int64)
    multiplier = (np.minimum(multiplier, 2**31 - 1) & (-256 if depthwise else -1)).astype(np.int32)
    conv = IntConv(weights, bias.astype(np.int32), multiplier, stride, padding, zero_in, zero_out, depthwise, groups)
    conv.check_limits()
    return conv


def random_cell(rng: Generator, units: int) -> IntCell:
    hidden = rng.normal(size=(units, units)) / units**0.5
    return quantise_cell(hidden, rng.normal(1.0, 1.0, units), rng.normal(0.0, 0.5, units))


def random_states(rng: Generator, *shape: int) -> NDArray[np.int16]:
    """Q15 states, a fifth of them at either end."""
    states = rng.integers(-32767, 32768, shape)
    return np.where(rng.random(shape) < 0.2, 32767 * np.sign(states), states).astype(np.int16)


def random_rnnpool(
    rng: Generator,
    channels: int,
    hidden1: int,
    hidden2: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> IntRNNPool:
    rnn1, rnn2 = random_cell(rng, hidden1), random_cell(rng, hidden2)
    x, y = Quantisation(4 / 255, int(rng.integers(0, 256))), Quantisation.of_range(-1, 1)
    weights = rng.normal(size=(hidden1, channels, 1, 1)) * 0.5
    project_input = quantise_to_i16(weights, -rnn1.first, x, rnn1.step / PROJECTED_UNITS)
    projection = quantise_projection(rng.normal(size=(hidden2, hidden1)) * 0.5, rnn2)
    bias, multiplier = output_scales(rng.normal(1, 0.5, 4 * hidden2), rng.normal(0, 0.3, 4 * hidden2), y)
    return IntRNNPool(project_input, rnn1, projection, rnn2, bias, multiplier, kernel, stride, padding, y.zero_point)
