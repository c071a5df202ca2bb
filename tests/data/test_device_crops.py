"""Samples made a batch at a time equal those made one by one."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from made_images import InMemory, noisy, painted, without_faces
from rnnpool.data.augment import AugmentConfig
from rnnpool.data.device_crops import DeviceCrops, PlanBatches
from rnnpool.data.photometric import PhotometricConfig
from rnnpool.data.resident import ResidentImages, use_device
from rnnpool.data.training_samples import TrainingSamples

CPU = torch.device("cpu")
NOISELESS = PhotometricConfig(probability=0.5, blur_probability=0.0, noise_probability=0.0)


def both(samples, epoch=0):
    """The samples of an epoch made one by one, and at once."""
    keys = [(epoch, i) for i in range(len(samples))]
    plans, targets = PlanBatches(samples).batch(keys)
    made = DeviceCrops([each.pixels for each in samples.sets], samples.config, CPU)(plans)
    return [samples[key] for key in keys], made, targets.unpack()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["area", "hamming", "bilinear"]),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([1, 3]),
)
def test_a_batch_equals_samples_made_one_by_one(seed, shrink_filter, mosaic, channels):
    rng = np.random.default_rng(seed)
    config = AugmentConfig(
        size=64, mosaic=mosaic, cutout=0.3, wide_probability=0.4, shrink_filters=(shrink_filter,), photometric=NOISELESS
    )
    samples = TrainingSamples(
        noisy(rng, 4, channels), config, seed=seed, extra=painted(rng, 3, channels), extra_share=0.4
    )
    alone, images, targets = both(samples, epoch=2)
    for (image, target), made, packed in zip(alone, images, targets, strict=True):
        # Levels: one by one they are rounded once, before a contrast of up to 1.5 and a gamma that is steep near black.
        difference = (image - made).abs() * 128
        assert difference.mean() < 1
        assert difference.quantile(0.99) < 5
        assert all(torch.equal(target[key], packed[key]) for key in ("boxes", "ignore"))


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_area_averages_to_rounding(mosaic):
    plain = PhotometricConfig(probability=0.0, blur_probability=0.0, noise_probability=0.0)
    config = AugmentConfig(size=32, mosaic=mosaic, crop_scale=(0.9, 1.0), photometric=plain)
    samples = TrainingSamples(noisy(np.random.default_rng(0), 20, 1), config)
    large = [i for i in range(20) if min(samples.source.pixels.size(i)) > 45]
    assert len(large) > 5
    alone, images, _ = both(samples)
    for i in large if not mosaic else range(20):
        if all(part.window.side > part.size for part in samples.plan(0, i).parts):  # shrunk, not interpolated
            assert (alone[i][0] - images[i]).abs().max() * 128 < 0.51


def test_blur_and_noise_have_their_strength():
    flat = np.full((80, 80, 1), 100, np.uint8)
    flat[:, 40:] = 200
    source = without_faces([flat] * 64)
    photometric = PhotometricConfig(0.0, blur_probability=1.0, blur_radius=3.0, noise_probability=0.0)
    config = AugmentConfig(size=64, crop_scale=(0.8, 0.8), wide_probability=0.0, flip=0.0, photometric=photometric)
    alone, images, _ = both(TrainingSamples(source, config))
    # Pillow approximates the Gaussian by box filters.
    assert max((one - made).abs().max() * 128 for (one, _), made in zip(alone, images, strict=True)) < 6
    noise = dataclasses.replace(photometric, blur_probability=0.0, noise_probability=1.0, noise_sigma=8.0)
    samples = TrainingSamples(source, dataclasses.replace(config, photometric=noise))
    _, images, _ = both(samples)
    for i, made in enumerate(images):
        sigma = samples.plan(0, i).distortion.noise_sigma
        assert (made[0, 5:-5, :20] * 128).std() == pytest.approx(sigma, rel=0.15, abs=0.01)
    # A sample's noise is its own, whatever batch it comes in.
    some = DeviceCrops([source.pixels], samples.config, CPU)(PlanBatches(samples).batch([(0, 7), (0, 3)])[0])
    assert torch.equal(some, images[[7, 3]])


def test_an_empty_set_has_no_groups():
    assert use_device("auto", [InMemory([], 1)], CPU) is False
    assert ResidentImages([InMemory([], 1)], CPU).sizes.shape == (0, 2)
