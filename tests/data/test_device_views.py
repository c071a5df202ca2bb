"""A classifier's samples made a batch at a time equal those made one by one."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from made_images import noisy
from rnnpool.data.classification import ImageAugment, TrainingImages
from rnnpool.data.device_views import DeviceViews, ViewBatches
from rnnpool.data.labelled import LabelledImages
from rnnpool.data.photometric import PhotometricConfig

CPU = torch.device("cpu")
COLOUR = PhotometricConfig(probability=0.5, blur_probability=0.0, noise_probability=0.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3]), st.booleans(), st.booleans(), st.integers(9, 70))
def test_a_batch_equals_samples_made_one_by_one(seed, channels, coloured, cropped, size):
    rng = np.random.default_rng(seed)
    pixels = noisy(rng, 5, channels).pixels
    targets, images, windows = rng.integers(0, 3, 8), None, None
    if cropped:
        images = rng.integers(0, 5, 8)
        windows = np.array([(3, 5, *np.array(pixels.size(int(i))) - 7) for i in images])
    else:
        targets = targets[:5]
    labelled = LabelledImages(pixels, [""] * len(targets), ("a", "b", "c"), targets, images, windows)
    samples = TrainingImages(labelled, ImageAugment((0.2, 1), colour=COLOUR if coloured else None), size, seed)
    keys = [(epoch, index) for epoch in range(3) for index in range(len(targets))]
    alone, wanted = samples.batch(keys)
    views, found = ViewBatches(samples).batch(keys)
    made = DeviceViews(samples, CPU)(views)
    assert torch.equal(wanted, found)
    difference = (alone.float() - made).abs()
    if coloured:  # one by one they are rounded before a contrast of up to 1.5 and a gamma that is steep near black
        assert difference.mean() < 1
        assert difference.quantile(0.995) < 5
    else:
        assert difference.max() < 1.1  # torchvision rounds after each axis
