"""The integer L2 norm against the real one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnpool.errors import InputError
from rnnpool.integer.l2norm import quantise_l2norm
from rnnpool.integer.tensors import Quantisation


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


def test_limits_are_named() -> None:
    with pytest.raises(InputError, match="squares of 600 channels"):
        quantise_l2norm(Quantisation(1.0, 0), Quantisation(1 / 255, 0), 600, 0.0)
    with pytest.raises(InputError, match="scale is 0.0001"):
        quantise_l2norm(Quantisation(1.0, 0), Quantisation(1e-4, 0), 8, 0.0)
