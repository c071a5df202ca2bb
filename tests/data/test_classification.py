"""Training batches are a pure function of (seed, epoch, index); crops are what they claim to be."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import CenterCrop, Compose, Resize

from made_images import InMemory
from made_pictures import write_pictures
from rnnpool.data.classification import (
    CentreImages,
    ImageAugment,
    TrainingImages,
    least_side,
    normalise_pixels,
    random_windows,
)
from rnnpool.data.draws import uniforms
from rnnpool.data.image_folder import image_folder
from rnnpool.data.labelled import LabelledImages
from rnnpool.data.photometric import PhotometricConfig
from rnnpool.data.view import View
from rnnpool.errors import InputError


@pytest.fixture
def images(tmp_path):
    return image_folder(write_pictures(tmp_path, {"red": 3, "blue": 3}), ".")


def test_a_batch_opens_each_image_once(images, monkeypatch):
    monkeypatch.setattr(type(images.pixels), "size", lambda self, index: pytest.fail("looked up, then decoded"))
    pixels, _ = TrainingImages(images, ImageAugment(), 8, seed=0).batch([(0, 0), (0, 4)])
    assert pixels.shape == (2, 3, 8, 8)


def test_draws_are_uniform_and_unrelated():
    epochs, samples = np.divmod(np.arange(20000), 1000)
    drawn = uniforms(5, epochs, samples, 3)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts = np.stack([np.histogram(column, bins=20, range=(0, 1))[0] for column in drawn.T])
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)
    related = np.corrcoef([*drawn.T, *uniforms(6, epochs, samples, 2).T, np.roll(drawn[:, 0], 1)])
    assert np.abs(related - np.eye(6)).max() < 0.03
    assert len(np.unique(drawn)) == drawn.size
    np.testing.assert_array_equal(uniforms(5, epochs[7:9], samples[7:9], 2), drawn[7:9, :2])


def test_a_sample_does_not_depend_on_its_batch(images):
    augment = ImageAugment(crop_scale=(0.2, 1.0), colour=PhotometricConfig())
    data = TrainingImages(images, augment, 16, seed=3)
    keys = [(0, 4), (1, 4), (0, 1), (7, 0)]
    pixels, targets = data.batch(keys)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (4, 3, 16, 16)
    assert targets.tolist() == [1, 1, 0, 0]
    for row, key in enumerate(keys):
        assert torch.equal(data.batch([key])[0][0], pixels[row])
    assert not torch.equal(pixels[0], pixels[1])  # another epoch, another crop
    assert not torch.equal(TrainingImages(images, augment, 16, seed=4).batch(keys[:1])[0][0], pixels[0])


def test_whole_images_are_only_mirrored():
    source = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    labelled = LabelledImages(InMemory(list(source)), [str(i) for i in range(64)], ("a", "b"), np.arange(64) % 2)
    data = TrainingImages(labelled, ImageAugment((1, 1), (1, 1), flip=0.5), 8, seed=0)
    pixels, _ = data.batch([(0, index) for index in range(64)])
    found = pixels.permute(0, 2, 3, 1).numpy()
    same = (found == source).all(axis=(1, 2, 3))
    mirrored = (found == source[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same | mirrored).all()
    assert 20 < mirrored.sum() < 44


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.01, 1), st.floats(0.3, 1), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_windows_lie_within_and_have_their_area(height, width, low, ratio, seed):
    drawn = np.random.default_rng(seed).random((20, 40))
    shapes = np.tile([[height, width]], (20, 1))
    windows = random_windows(shapes, drawn, (low, 1.0), (ratio, 1 / ratio))
    top, left, h, w = windows.T
    assert (np.minimum(top, left) >= 0).all()
    assert (np.minimum(h, w) >= 1).all()
    assert (top + h <= height).all()
    assert (left + w <= width).all()
    if min(height, width) >= 100 and max(height, width) * ratio <= min(height, width):
        # All tries of an image may fail, but the central window is then as large as its aspect allows.
        assert (h * w >= 0.97 * low * height * width - 2 * (height + width) ** 0.5).all()
        assert (w / h >= ratio * 0.9).all()
        assert (w / h <= 1 / ratio * 1.1).all()


def test_windows_of_a_square_have_uniform_areas():
    drawn = np.random.default_rng(0).random((4000, 40))
    windows = random_windows(np.full((4000, 2), 1000), drawn, (0.1, 0.5), (0.9, 1.1))
    shares = windows[:, 2] * windows[:, 3] / 1e6
    counts, _ = np.histogram(shares, bins=8, range=(0.1, 0.5))
    assert counts.sum() > 3990
    assert np.abs(counts - 500).max() < 5 * np.sqrt(500)
    middle = windows[:, :2] + windows[:, 2:] / 2
    assert np.abs(middle.mean(axis=0) - 500).max() < 10


def test_windows_of_samples_are_cut_before_cropping():
    image = np.zeros((20, 30, 3), np.uint8)
    image[4:12, 10:18] = 200
    labelled = LabelledImages(
        InMemory([image]), ["a"], ("no", "yes"), np.array([1]), np.array([0]), np.array([[10, 4, 8, 8]])
    )
    pixels, _ = TrainingImages(labelled, ImageAugment((0.5, 1)), 8, seed=0).batch([(0, 0)])
    assert (pixels == 200).all()
    assert (CentreImages(labelled, 8, 1.0).batch([(0, 0)])[0] == 200).all()


def test_the_centre_is_torchvisions(images):
    pixels, targets = CentreImages(images, 14, 0.875).batch([(0, 1), (0, 5)])
    transform = Compose([Resize(16, antialias=True), CenterCrop(14)])
    for row, index in enumerate((1, 5)):
        expected = transform(torch.from_numpy(images.region(index)).permute(2, 0, 1))
        assert torch.equal(pixels[row], expected)
    assert targets.tolist() == [0, 1]


def test_normalisation_by_channel():
    pixels = torch.tensor([[[[0, 255]], [[10, 20]]]], dtype=torch.uint8)  # (1, 2, 1, 2)
    expected = torch.tensor([[[[-1.0, 1.55]], [[0.0, 2.0]]]])
    torch.testing.assert_close(normalise_pixels(pixels, (100.0, 10.0), (100.0, 5.0)), expected)


def test_settings_that_make_no_sense():
    with pytest.raises(InputError, match="crop_scale"):
        ImageAugment(crop_scale=(0.5, 1.5))
    with pytest.raises(InputError, match="flip is 2"):
        ImageAugment(flip=2)
    with pytest.raises(InputError, match="test_crop is 0"):
        View(test_crop=0)


def test_photos_are_decoded_as_large_as_the_smallest_crop_needs():
    """Of many drawn windows of an image of that size, none has fewer pixels than the network sees."""
    augment = ImageAugment(crop_scale=(0.25, 1.0), crop_ratio=(3 / 4, 4 / 3))
    side = least_side(augment, 128, 0.875)
    assert 128 / math.sqrt(0.25 * 3 / 4) <= side < 128 / math.sqrt(0.25 * 3 / 4) + 1
    drawn = np.random.default_rng(0).random((4000, 40))
    windows = random_windows(np.full((4000, 2), side), drawn, augment.crop_scale, augment.crop_ratio)
    assert 127 <= windows[:, 2:].min() < 140  # a window is rounded to pixels
    assert least_side(ImageAugment((1.0, 1.0), (1.0, 1.0)), 32, 0.5) == 64  # the test's resizing
