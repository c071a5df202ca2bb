import dataclasses
from math import ceil, floor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from made_images import InMemory, painted
from rnnpool.data.augment import AugmentConfig
from rnnpool.data.photometric import PhotometricConfig
from rnnpool.data.samples import PAD_VALUE, Annotation, DetectionDataset
from rnnpool.data.training_samples import TrainingSamples
from rnnpool.errors import InputError

PLAIN = PhotometricConfig(probability=0.0, blur_probability=0.0, noise_probability=0.0)
GEOMETRY = AugmentConfig(size=64, photometric=PLAIN)

MIDDLE = 190  # above the padding's 128 and above a half-covered pixel beside padding


def pixels_of(image):
    """(C, S, S) network input -> grey levels (S, S)."""
    return image[0].numpy() * 128 + 128


def check_boxes_stay_on_their_content(image, target):
    """Every bright pixel lies in a box, and every box is bright inside, to a pixel of the crop."""
    bright = pixels_of(image) > MIDDLE
    allowed = np.zeros_like(bright)
    for x1, y1, x2, y2 in torch.cat([target["boxes"], target["ignore"]]).tolist():
        allowed[
            max(int(np.floor(y1)) - 1, 0) : int(np.ceil(y2)) + 1, max(int(np.floor(x1)) - 1, 0) : int(np.ceil(x2)) + 1
        ] = 1
    assert not (bright & ~allowed).any()
    for x1, y1, x2, y2 in target["boxes"].tolist():
        assert bright[ceil(y1) + 1 : floor(y2) - 1, ceil(x1) + 1 : floor(x2) - 1].all()


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["area", "hamming", "bilinear"]),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([1, 3]),
)
def test_boxes_stay_on_their_content(seed, shrink_filter, mosaic, channels):
    rng = np.random.default_rng(seed)
    config = dataclasses.replace(
        GEOMETRY, mosaic=mosaic, shrink_filters=(shrink_filter,), face_pixels=(8.0, 60.0), wide_probability=0.5
    )
    samples = TrainingSamples(painted(rng, 3, channels), config, seed=seed)
    for i in range(len(samples)):
        image, target = samples[0, i]
        assert image.shape == (channels, 64, 64)
        assert image.dtype == torch.float32
        check_boxes_stay_on_their_content(image, target)
        boxes = target["boxes"]
        assert ((boxes >= 0) & (boxes <= 64)).all()
        assert (boxes[:, 2:] - boxes[:, :2] >= config.min_face - 1e-4).all()


def test_face_crops_hold_a_face():
    config = dataclasses.replace(GEOMETRY, face_probability=1.0, face_pixels=(10.0, 30.0))
    samples = TrainingSamples(painted(np.random.default_rng(0), 40), config)
    with_faces = [i for i in range(40) if len(samples.source.annotations[i].boxes)]
    assert len(with_faces) > 15
    visible = [torch.cat([samples[0, i][1]["boxes"], samples[0, i][1]["ignore"]]) for i in with_faces]
    assert all(((boxes[:, 2:] - boxes[:, :2]).max(dim=1).values >= 9.99).any() for boxes in visible)


FULL = AugmentConfig(size=64, mosaic=0.3, cutout=0.5, shrink_filters=("area", "hamming", "bilinear"))


def equal(a, b):
    return torch.equal(a[0], b[0]) and all(torch.equal(a[1][key], b[1][key]) for key in ("boxes", "ignore"))


def test_a_sample_is_a_function_of_seed_epoch_and_index():
    source = painted(np.random.default_rng(1), 5)
    extra = painted(np.random.default_rng(2), 4)
    first = TrainingSamples(source, FULL, seed=3, extra=extra, extra_share=0.5)
    second = TrainingSamples(source, FULL, seed=3, extra=extra, extra_share=0.5)
    assert len(first) == 10
    forwards = [first[4, i] for i in range(10)]
    np.random.seed(0)  # noqa: NPY002  # global randomness plays no part
    torch.manual_seed(0)
    second[7, 3]
    backwards = [second[4, i] for i in reversed(range(10))][::-1]
    assert all(equal(a, b) for a, b in zip(forwards, backwards, strict=True))
    assert not any(torch.equal(forwards[i][0], second[5, i][0]) for i in range(10))
    other = TrainingSamples(source, FULL, seed=4, extra=extra, extra_share=0.5)
    assert not any(torch.equal(forwards[i][0], other[4, i][0]) for i in range(10))


def test_extra_images_come_at_random_and_are_named():
    source, extra = painted(np.random.default_rng(1), 6), painted(np.random.default_rng(2), 30)
    for annotation in extra.annotations:
        object.__setattr__(annotation, "path", f"extra-{annotation.path}")
    samples = TrainingSamples(source, GEOMETRY, extra=extra, extra_share=0.25)
    assert len(samples) == 8
    assert [samples.path(i, 0) for i in range(6)] == [f"image-{i}" for i in range(6)]
    drawn = {samples.path(i, epoch) for epoch in range(20) for i in (6, 7)}
    assert all(path.startswith("extra-") for path in drawn)
    assert len(drawn) > 10
    assert samples.path(7, 3) == samples.path(7, 3)


def test_the_named_image_is_the_one_that_is_used():
    """Each image has its own grey; without mosaic a sample shows no other."""
    arrays = [np.full((50, 50, 1), 10 + i, np.uint8) for i in range(20)]
    none = np.zeros((0, 4), np.float32)
    source = DetectionDataset(InMemory(arrays[:4]), [Annotation(i, none, none) for i in range(4)])
    extra = DetectionDataset(InMemory(arrays[4:]), [Annotation(i, none, none) for i in range(4, 20)])
    samples = TrainingSamples(source, dataclasses.replace(GEOMETRY, wide_probability=0), extra=extra, extra_share=0.5)
    for epoch in range(5):
        for i in range(len(samples)):
            levels = set(np.rint(pixels_of(samples[epoch, i][0])).ravel().tolist()) - {float(PAD_VALUE)}
            assert levels == {10.0 + samples.path(i, epoch)}


def test_cutout_hides_and_ignores():
    rng = np.random.default_rng(0)
    samples = TrainingSamples(painted(rng, 40), dataclasses.replace(GEOMETRY, cutout=1.0))
    plain = TrainingSamples(painted(np.random.default_rng(0), 40), GEOMETRY)
    moved = 0
    for epoch in range(12):
        for i in range(40):
            (image, target), (whole, whole_target) = samples[epoch, i], plain[epoch, i]
            hidden = pixels_of(image) != pixels_of(whole)
            assert (pixels_of(image)[hidden] == PAD_VALUE).all()
            rows, columns = np.flatnonzero(hidden.any(axis=1)), np.flatnonzero(hidden.any(axis=0))
            if len(rows):
                assert rows[-1] - rows[0] < 64 // 3
                assert columns[-1] - columns[0] < 64 // 3
            count = len(whole_target["boxes"]) - len(target["boxes"])
            assert len(target["ignore"]) - len(whole_target["ignore"]) == count >= 0
            moved += count
    assert moved > 3


def test_mosaic_has_four_quarters():
    arrays = [np.full((64, 64, 1), 10 * (i + 1), np.uint8) for i in range(9)]
    none = np.zeros((0, 4), np.float32)
    source = DetectionDataset(InMemory(arrays), [Annotation(i, none, none) for i in range(9)])
    config = dataclasses.replace(GEOMETRY, mosaic=1.0, wide_probability=0.0, flip=0.0)
    for i in range(9):
        image = np.rint(pixels_of(TrainingSamples(source, config)[0, i][0]))
        quarters = [image[:32, :32], image[:32, 32:], image[32:, :32], image[32:, 32:]]
        assert all(len(np.unique(quarter)) == 1 for quarter in quarters)
        assert quarters[0][0, 0] == 10 * (i + 1)


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (300, 2), (8, 8)])
def test_odd_images_give_samples(shape):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*shape, 1), dtype=np.uint8)
    box = np.array([[0, 0, shape[1], shape[0]]], np.float32)
    source = DetectionDataset(InMemory([pixels]), [Annotation("odd", box, box[:0])])
    samples = TrainingSamples(source, FULL)
    for epoch in range(40):
        image, target = samples[epoch, 0]
        assert image.isfinite().all()
        assert target["boxes"].isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flip": 1.5}, "augment.flip is 1.5; a probability is 0..1"),
        ({"mosaic": -0.1}, "augment.mosaic is -0.1"),
        ({"face_pixels": (9.0, 3.0)}, r"augment.face_pixels is \(9.0, 3.0\); expected 0 < low <= high"),
        ({"crop_scale": (0.0, 1.0)}, "augment.crop_scale"),
        ({"size": 31}, "augment.size is 31; expected an even number from 32 up"),
        ({"shrink_filters": ("area", "cubic")}, "augment.shrink_filters .* may hold area, hamming, bilinear"),
        ({"shrink_filters": ()}, "augment.shrink_filters"),
        ({"max_zoom": 0.0}, "augment.max_zoom is 0.0"),
    ],
)
def test_bad_settings_are_named(change, message):
    with pytest.raises(InputError, match=message):
        AugmentConfig(**change)


def test_bad_sets_are_named():
    grey, colour = painted(np.random.default_rng(0), 2), painted(np.random.default_rng(0), 2, channels=3)
    with pytest.raises(InputError, match="extra images have 3 channels, the others 1"):
        TrainingSamples(grey, GEOMETRY, extra=colour)
    with pytest.raises(InputError, match="extra_share is 1.0"):
        TrainingSamples(grey, GEOMETRY, extra=grey, extra_share=1.0)
