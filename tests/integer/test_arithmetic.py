"""The integer arithmetic against exact rational numbers, and against the real functions that it stands for."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnpool.compile.random_layers import random_cell, random_conv, random_map, random_rnnpool, random_states
from rnnpool.errors import InputError
from rnnpool.integer.arithmetic import requantise, saturate_i16, saturate_u8, to_multiplier
from rnnpool.integer.convolution import quantise_convolution
from rnnpool.integer.recurrent import PROJECTED_UNITS, STATE_ONE, quantise_cell, quantise_projection
from rnnpool.integer.rnnpool2d import narrow_projected, narrow_states
from rnnpool.integer.tensors import Quantisation, per_channel_int8

int32 = st.integers(-(2**31), 2**31 - 1)


@given(int32, int32)
def test_requantise_rounds_once_and_halves_upwards(accumulator, multiplier):
    exact = Fraction(accumulator * multiplier, 2**32)
    assert int(requantise(np.array(accumulator), multiplier)) == floor(exact + Fraction(1, 2))


@given(st.floats(-0.4999999, 0.4999999))
def test_multipliers_are_nearest(ratio):
    assert abs(int(to_multiplier(ratio)) - Fraction(ratio) * 2**32) <= Fraction(1, 2) or ratio > 0.49999999


@pytest.mark.parametrize("ratio", [0.5, -0.5, 3.0, float("nan")])
def test_too_large_multipliers_are_refused(ratio):
    with pytest.raises(InputError, match="rescaling ratio is"):
        to_multiplier(ratio)


def test_saturation():
    assert saturate_u8(np.array([-1, 0, 255, 256])).tolist() == [0, 0, 255, 255]
    assert saturate_i16(np.array([-32769, -32768, 32767, 32768])).tolist() == [-32768, -32768, 32767, 32767]


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_a_range_and_zero_are_represented(a, b):
    low, high = min(a, b), max(a, b)
    quantisation = Quantisation.of_range(low, high)
    real = np.linspace(min(low, 0), max(high, 0), 101)
    back = quantisation.dequantise(quantisation.quantise(real))
    assert np.abs(back - real).max() <= quantisation.scale * (1 + 1e-6)  # the zero point's rounding shifts the ends
    assert quantisation.dequantise(quantisation.quantise(np.zeros(1)))[0] == 0


def test_bad_quantisations_are_refused():
    with pytest.raises(InputError, match="scale is 0"):
        Quantisation(0, 0)
    with pytest.raises(InputError, match="zero_point is 256"):
        Quantisation(1.0, 256)
    with pytest.raises(InputError, match="range is"):
        Quantisation.of_range(1.0, float("inf"))


@given(st.integers(0, 2**32 - 1))
def test_weights_keep_their_largest_and_stay_within_half_a_step(seed):
    weights = np.random.default_rng(seed).normal(size=(5, 7))
    stored, scales = per_channel_int8(weights)
    assert (np.abs(stored).max(axis=1) == 127).all()
    assert (np.abs(stored * scales[:, None] - weights) <= scales[:, None] / 2 * (1 + 1e-9)).all()


@pytest.mark.parametrize("depthwise", [False, True])
def test_convolution_is_the_real_one_within_its_steps(depthwise):
    rng = np.random.default_rng(0)
    x, y = Quantisation.of_range(-1.0, 3.0), Quantisation.of_range(-6.0, 6.0)
    weights, bias = rng.normal(size=(6, 1 if depthwise else 6, 3, 3)) / 4, rng.normal(size=6)
    conv = quantise_convolution(weights, bias, x, y, stride=(2, 2), padding=(1, 1), depthwise=depthwise)
    stored = random_map(rng, 6, 9, 11)
    real = np.pad(x.dequantise(stored), ((0, 0), (1, 1), (1, 1)))
    expected = np.zeros((6, 5, 6))
    for o, i, j in np.ndindex(expected.shape):  # from the definition
        window = real[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        expected[o, i, j] = bias[o] + (weights[o] * (window[o] if depthwise else window)).sum()
    error = y.dequantise(conv.run(stored)) - np.clip(expected, y.dequantise(np.array(0)), y.dequantise(np.array(255)))
    # Half a step of the output, and the weights' rounding: half a step each of 1/127 of the largest.
    weight_error = np.abs(weights).max() / 254 * 3.0 * weights[0].size
    assert np.abs(error).max() < y.scale / 2 + weight_error


def test_convolutions_stay_within_their_accumulator_or_are_refused():
    x = Quantisation.of_range(0, 1)
    wide = quantise_convolution(np.ones((1, 4000, 1, 1)), None, x, Quantisation.of_range(0, 4000))
    everything = np.full((4000, 1, 1), 255, np.uint8)
    assert abs(int(wide.accumulate(everything)[0, 0, 0])) < 1 << 23
    assert wide.run(everything)[0, 0, 0] >= 245  # the weights had to become coarser
    with pytest.raises(InputError, match="a result may reach"):
        quantise_convolution(np.ones((1, 200, 1, 1)), None, x, Quantisation.of_range(0, 0.9))
    with pytest.raises(InputError, match="rescaling ratio"):
        quantise_convolution(np.ones((1, 1, 1, 1)) * 500, None, x, Quantisation.of_range(0, 1))


@pytest.mark.parametrize("gates", ["smooth", "piecewise"])
def test_fastgrnn_follows_the_real_recurrence(gates):
    rng = np.random.default_rng(1)
    units, steps = 16, 8
    hidden, bias_gate, bias_candidate = (
        rng.normal(size=(units, units)) / 6,
        rng.normal(1, 1, units),
        rng.normal(size=units),
    )
    cell = quantise_cell(hidden, bias_gate, bias_candidate, gates=gates)
    inputs = rng.normal(size=(steps, 50, units))
    real, stored = np.zeros((50, units)), np.zeros((50, units), np.int16)
    for x in inputs:
        pre = x + real @ hidden.T
        if gates == "smooth":
            z, c = 1 / (1 + np.exp(-(pre + bias_gate))), np.tanh(pre + bias_candidate)
        else:
            z, c = np.clip((pre + bias_gate + 1) / 2, 0, 1), np.clip(pre + bias_candidate, -1, 1)
        real = z * real + (1 - z) * c
        p = np.rint((x - cell.first) / cell.step * PROJECTED_UNITS)
        stored = cell.advance(np.clip(p, -32768, 32767).astype(np.int16), stored)
    assert np.abs(stored / STATE_ONE - real).max() < 0.06
    assert np.sqrt(((stored / STATE_ONE - real) ** 2).mean()) < 0.015


@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_states_never_leave_their_range(seed, units):
    rng = np.random.default_rng(seed)
    cell = random_cell(rng, units)
    state = random_states(rng, 40, units)
    p = rng.integers(-32768, 32768, (40, units)).astype(np.int16)
    after = cell.advance(p, state)
    assert np.abs(after.astype(int)).max() <= STATE_ONE


def test_too_large_recurrent_weights_are_refused():
    cell = quantise_cell(np.eye(4), np.zeros(4), np.zeros(4))
    with pytest.raises(InputError, match="W reaches"):
        quantise_projection(np.full((4, 4), 1e4), cell)
    with pytest.raises(InputError, match=r"W h may reach \d+; the limit is 2\^31"):
        quantise_projection(np.full((4, 64), 8.0), cell)


def test_eight_bits_keep_the_upper_bits():
    states = np.array([-32767, -129, -1, 0, 255, 32767], np.int16)
    assert narrow_states(states).tolist() == [-32640, -128, -128, 128, 128, 32640]
    p = np.array([-500, 15, 16, 8159, 20000], np.int16)
    assert narrow_projected(p).tolist() == [0, 0, 32, 8160, 8160]


def test_rnnpool_computes_each_patch_as_if_it_were_alone():
    """Sharing changes nothing: the map's result is that of each patch's own map."""
    rng = np.random.default_rng(5)
    pool = random_rnnpool(rng, 3, 6, 5, (4, 5), (2, 3), (0, 0))
    x = random_map(rng, 3, 10, 14)
    whole = pool.run(x)
    for i, j in np.ndindex(whole.shape[1:]):
        patch = x[:, 2 * i : 2 * i + 4, 3 * j : 3 * j + 5]
        np.testing.assert_array_equal(pool.run(patch)[:, 0, 0], whole[:, i, j])


def test_convolution_windows_are_where_torch_puts_them():
    rng = np.random.default_rng(6)
    conv = random_conv(rng, 4, 3, (3, 2), (2, 1), (1, 1))
    assert conv.run(random_map(rng, 3, 7, 9)).shape == (4, 4, 10)
