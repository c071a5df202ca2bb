"""Synthetic pictures hold what their labels say, and are a pure function of seed and number."""

import numpy as np
import pytest

from rnnpool.data.synthetic import ANGLES, SHAPES, Synthetic, picture, synthetic_images
from rnnpool.errors import InputError


def test_a_line_has_the_angle_of_its_label():
    """The principal axis of what stands out from a quiet ground."""
    config = Synthetic(size=64, noise=1.0, channels=1)
    for index in range(60):
        pixels, labels = picture(config, 0, index)
        values = pixels[..., 0].astype(float)
        rows, columns = np.nonzero(np.abs(values - np.median(values)) > 30)
        spread = np.cov(columns, -rows)  # y upwards
        _, axes = np.linalg.eigh(spread)
        found = np.degrees(np.arctan2(axes[1, 1], axes[0, 1])) % 180
        distance = np.abs((found - ANGLES[int(np.flatnonzero(labels)[0])] + 90) % 180 - 90)
        assert distance < 5, index


def test_shapes_stand_apart_and_differ():
    """As many islands as labels, and the area within the circumscribed square tells most kinds apart."""
    from scipy.ndimage import find_objects, label

    config = Synthetic("shapes", multi_label=True, size=64, noise=1.0, channels=1)
    filled = {name: [] for name in SHAPES}
    for index in range(80):
        pixels, labels = picture(config, 0, index)
        values = pixels[..., 0].astype(float)
        islands, count = label(np.abs(values - np.median(values)) > 30, np.ones((3, 3)))
        assert count == labels.sum(), index
        if count == 1:
            (box,) = find_objects(islands)
            filled[SHAPES[int(np.flatnonzero(labels)[0])]].append((islands[box] > 0).mean())
    means = {name: np.mean(values) for name, values in filled.items()}
    assert means["circle"] == pytest.approx(np.pi / 4, abs=0.06)
    assert means["triangle"] == pytest.approx(0.5, abs=0.08)
    assert means["square"] > 0.8 > means["circle"] > means["cross"] > means["star"]


def test_pictures_are_a_pure_function_and_targets_follow_the_kind():
    config = Synthetic(multi_label=True, most=4, size=32)
    images = synthetic_images(config, 30, seed=9)
    assert images.targets.shape == (30, 9)
    assert images.targets.dtype == np.float32
    assert sorted(np.unique(images.targets.sum(axis=1))) == [1, 2, 3, 4]
    pixels, labels = picture(config, 9, 17)
    np.testing.assert_array_equal(images.region(17), pixels)
    np.testing.assert_array_equal(images.targets[17], labels)
    assert not np.array_equal(synthetic_images(config, 1, seed=8).region(0), images.region(0))
    one = synthetic_images(Synthetic(), 200, seed=0)
    assert one.targets.shape == (200,)
    assert np.bincount(one.targets, minlength=9).min() > 8


def test_settings_that_make_no_sense():
    with pytest.raises(InputError, match="synthetic.most is 5; it may be 1 to 4 shapes"):
        Synthetic("shapes", most=5)
    with pytest.raises(InputError, match="number of synthetic pictures is 0"):
        synthetic_images(Synthetic(), 0, seed=0)
    with pytest.raises(InputError, match="synthetic.size is 8"):
        Synthetic(size=8)
    with pytest.raises(InputError, match="contrast is 200"):
        Synthetic(contrast=200)
