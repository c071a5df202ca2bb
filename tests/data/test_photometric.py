import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnpool.data.photometric import PhotometricConfig, draw_distortion
from rnnpool.data.photometric import distort as distort_as_drawn
from rnnpool.errors import InputError

OFF = PhotometricConfig(probability=0.0, blur_probability=0.0, noise_probability=0.0)
LUMA = np.array([0.299, 0.587, 0.114])


def distort(pixels, config, rng):
    return distort_as_drawn(pixels, draw_distortion(config, pixels.shape[2], rng))


@pytest.mark.parametrize(("name", "value"), [("probability", 1.1), ("contrast", -2.0), ("hue", float("nan"))])
def test_settings_that_make_no_sense(name, value):
    with pytest.raises(InputError, match=f"photometric.{name} is {value}"):
        PhotometricConfig(**{name: value})


def noise_image(channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (24, 32, channels), dtype=np.uint8)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3]))
def test_values_stay_in_range_and_the_source_unchanged(seed, channels):
    config = PhotometricConfig(probability=1.0, blur_probability=0.5, noise_probability=0.5)
    pixels = noise_image(channels)
    before = pixels.copy()
    values = distort(pixels, config, np.random.default_rng(seed))
    assert values.shape == pixels.shape
    assert values.dtype == np.float32
    assert values.min() >= 0
    assert values.max() <= 255
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("channels", [1, 3])
def test_without_distortion_values_are_the_pixels(channels):
    pixels = noise_image(channels)
    np.testing.assert_allclose(distort(pixels, OFF, np.random.default_rng(0)), pixels, atol=1e-3)


def test_brightness_shifts():
    config = dataclasses.replace(OFF, probability=1.0, contrast=0.0, gamma=0.0, brightness=20.0)
    pixels = np.full((4, 4, 1), 100, np.uint8)
    shifts = [distort(pixels, config, np.random.default_rng(i))[0, 0, 0] - 100 for i in range(200)]
    assert -20 <= min(shifts) < -15
    assert 15 < max(shifts) <= 20


def test_contrast_turns_about_the_mean():
    config = dataclasses.replace(OFF, probability=1.0, contrast=0.5, gamma=0.0, brightness=0.0)
    pixels = np.array([[[100], [140]]], np.uint8)
    spreads = []
    for i in range(200):
        low, high = distort(pixels, config, np.random.default_rng(i))[0, :, 0]
        assert low + high == pytest.approx(240, abs=1e-3)
        spreads.append((high - low) / 40)
    assert 1 / 1.5 - 1e-6 <= min(spreads) < 0.75
    assert 1.35 < max(spreads) <= 1.5 + 1e-6


def test_gamma_keeps_black_and_white():
    config = dataclasses.replace(OFF, probability=1.0, contrast=0.0, gamma=0.5, brightness=0.0)
    pixels = np.array([[[0], [128], [255]]], np.uint8)
    middles = []
    for i in range(100):
        low, middle, high = distort(pixels, config, np.random.default_rng(i))[0, :, 0]
        assert low == pytest.approx(0, abs=1e-3)
        assert high == pytest.approx(255, abs=1e-3)
        middles.append(middle)
    assert min(middles) < 110
    assert max(middles) > 145


def test_hue_and_saturation_keep_the_luma():
    config = dataclasses.replace(OFF, probability=1.0, contrast=0.0, gamma=0.0, brightness=0.0)
    pixels = np.random.default_rng(0).integers(100, 156, (8, 8, 3), dtype=np.uint8)  # far from the clipping ends
    changed = 0
    for i in range(20):
        values = distort(pixels, config, np.random.default_rng(i))
        np.testing.assert_allclose(values @ LUMA, pixels @ LUMA, atol=0.05)
        changed += np.abs(values - pixels).max() > 2
    assert changed > 10


def test_grey_stays_grey_in_colour():
    pixels = np.repeat(noise_image(1), 3, axis=2)
    for i in range(20):
        values = distort(pixels, PhotometricConfig(probability=1.0), np.random.default_rng(i))
        if not (values[..., 0] == values[..., 1]).all():
            spread = (values.max(axis=2) - values.min(axis=2)).max()
            assert spread < 0.01 or spread > 1  # noise colours, nothing else does


def test_blur_and_noise():
    pixels = noise_image(1)
    blurred = distort(pixels, dataclasses.replace(OFF, blur_probability=1.0, blur_radius=3.0), np.random.default_rng(1))
    assert np.abs(np.diff(blurred[..., 0])).mean() < 0.8 * np.abs(np.diff(pixels[..., 0].astype(float))).mean()
    flat = np.full((100, 100, 1), 128, np.uint8)
    config = dataclasses.replace(OFF, noise_probability=1.0, noise_sigma=8.0)
    deviations = [distort(flat, config, np.random.default_rng(i)).std() for i in range(30)]
    assert max(deviations) < 8.5
    assert max(deviations) > 5
