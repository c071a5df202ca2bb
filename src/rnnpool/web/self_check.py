"""What a page compares itself with: images that it can make, and what the simulator gives for them."""

import numpy as np
from numpy.typing import NDArray

from rnnpool.integer.head import IntHead
from rnnpool.integer.network import IntNetwork

DETECTOR_IMAGES = 2
CLASSIFIER_IMAGES = 10  # which give a few numbers each


def check_image(shape: tuple[int, ...], seed: int) -> NDArray[np.uint8]:
    """Bytes (C, H, W) that look random; ``checkImage`` of script/network.js makes the same, as (H, W, C).

    Two rounds of multiplying and shifting, of the kind in MurmurHash3's finaliser.
    """
    channels, height, width = shape
    x = np.arange(channels * height * width, dtype=np.uint32) + np.uint32(seed * 0x9E3779B1 % 2**32)
    for factor in (0x85EBCA6B, 0xC2B2AE35):
        x = (x ^ (x >> np.uint32(15))) * np.uint32(factor)
    pixels = (x >> np.uint32(24)).astype(np.uint8).reshape(height, width, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def check_results(network: IntNetwork, head: IntHead | None) -> list[list[int]]:
    """Of each check image all numbers of its results: x1 y1 x2 y2 score of every detection, or the stored scores."""
    results = []
    for seed in range(CLASSIFIER_IMAGES if head is None else DETECTOR_IMAGES):
        outputs = network.run(check_image(network.image.shape, seed))
        numbers = outputs[0] if head is None else head.detect(outputs)
        results.append(numbers.ravel().tolist())
    return results
