"""The integer L2 norm against the real one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rnnpool.errors import InputError
from rnnpool.integer.convert import convert
from rnnpool.integer.l2norm import least_scale, quantise_l2norm
from rnnpool.integer.tensors import Quantisation
from rnnpool.models.s3fd_predictor import L2Norm


@given(
    st.integers(1, 96),
    st.integers(0, 255),
    st.floats(0.001, 3.0),
    st.sampled_from([0.0, 1e-4, 0.01]),
    st.integers(0, 2**32 - 1),
)
def test_close_to_the_real_norm(channels: int, zero: int, scale: float, eps: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    x, y = Quantisation(scale, zero), Quantisation.of_range(-1.0, 1.0)
    low, high = sorted(generator.integers(0, 256, 2))
    stored = generator.integers(low, high + 1, (channels, 3, 4)).astype(np.uint8)
    real = x.dequantise(stored)
    rounded_eps = round(eps / scale**2) * scale**2  # the integer form's own
    length = np.sqrt((real**2).sum(axis=0) + rounded_eps)
    wanted = real / np.maximum(length, scale)
    found = y.dequantise(quantise_l2norm(x, y, channels, eps).run(stored))
    # The square root is cut to 1/16 of the input's unit, so short vectors come out up to 1/16 too long.
    slack = np.abs(wanted) / (16 * np.maximum(length / scale, 1)) * 1.1
    assert (np.abs(found - wanted) <= y.scale * 1.01 + slack).all()


@given(st.integers(1, 250), st.floats(1e-12, 0.1), st.integers(0, 255))
def test_the_finest_scale_fits_and_a_finer_one_does_not(channels: int, eps: float, zero: int) -> None:
    finest, y = least_scale(channels, eps), Quantisation.of_range(-1.0, 1.0)
    quantise_l2norm(Quantisation(finest * 1.0001, zero), y, channels, eps)
    with pytest.raises(
        InputError, match="squares of"
    ):  # from the end of a byte on, all squares are as large as they get
        quantise_l2norm(Quantisation(finest * 0.9999, 0), y, channels, eps)


def test_an_eps_larger_than_all_numbers_widens_the_range_before_it() -> None:
    """As in a network of random weights, whose numbers are nothing beside it."""
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 4, 3)
    conv.weight.data *= 3e-4
    conv.bias.data *= 3e-4
    module = nn.Sequential(conv, L2Norm(4, 10.0), nn.Conv2d(4, 2, 1))
    images = list(np.random.default_rng(0).integers(0, 256, (4, 1, 6, 6)).astype(np.uint8))
    network = convert(module, (1, 6, 6), images, method="minmax").network
    assert [entry.split()[0] for entry in network.metadata["widened"].split(", ")] == ["0", "1"]
    (found,) = network.real_outputs(network.run(images[0]))
    with torch.no_grad():
        wanted = module((torch.from_numpy(images[0][None]).float() - 128) / 128)[0]
    assert np.abs(found - wanted.numpy()).max() < 0.03 * np.abs(wanted.numpy()).max()


def test_limits_are_named() -> None:
    with pytest.raises(InputError, match="squares of 600 channels"):
        quantise_l2norm(Quantisation(1.0, 0), Quantisation(1 / 255, 0), 600, 0.0)
    with pytest.raises(InputError, match="scale is 0.0001"):
        quantise_l2norm(Quantisation(1.0, 0), Quantisation(1e-4, 0), 8, 0.0)
