"""From the pixels of an image to what a network sees: resized to the area it is meant for, padded to its strides.

Detection and evaluation both come through here, so that what is measured is what is run.
"""

import math

import numpy as np
from PIL import Image

from rnnpool.data.samples import PAD_VALUE
from rnnpool.errors import InputError
from rnnpool.resampling import area_resize

# Neither side of a resized image is more than this many times the root of the area, so that a hair of 1 x 100,000
# pixels does not become a padded map of 64 x 88,000. Up to an aspect of 16:1 nothing is affected.
_LONGEST = 4.0


def resized_size(width: int, height: int, input_size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) that a ``width`` x ``height`` image is resized to: as many pixels as ``input_size`` (H, W) has,
    the same aspect, each side rounded and at least 1."""
    area = input_size[0] * input_size[1]
    scale = min(math.sqrt(area / (width * height)), _LONGEST * math.sqrt(area) / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def resize_to_area(pixels: np.ndarray, input_size: tuple[int, int]) -> np.ndarray:
    """Resize pixels to :func:`resized_size`: area averaging where they shrink, bilinear where they grow.

    Args:
        pixels: uint8 (H, W, C), C = 1 or 3.
        input_size: (H, W) that the network is meant for.

    Returns:
        uint8 (h, w, C). One pixel of it covers W / w by H / h pixels of the image.

    Raises:
        InputError: another data type or shape, or no pixels at all.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or pixels.size == 0:
        raise InputError(f"pixels are {pixels.dtype} {pixels.shape}; expected uint8 (H, W, 1) or (H, W, 3), not empty")
    height, width, channels = pixels.shape
    size = resized_size(width, height, input_size)
    if size == (width, height):
        return pixels
    # Along an axis that shrinks first: an extreme aspect may grow along the other one, by rounding alone.
    shrunk = min(size[0], width), min(size[1], height)
    if shrunk != (width, height):
        pixels = area_resize(pixels, shrunk, (0, 0, width, height))
    if shrunk != size:
        image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if channels == 1 else pixels))
        pixels = np.asarray(image.resize(size, Image.Resampling.BILINEAR)).reshape(size[1], size[0], channels)
    return pixels


def pad_to_multiple(pixels: np.ndarray, multiple: int) -> np.ndarray:
    """Grey columns at the right and rows at the bottom of (H, W, C), until both sides are multiples of ``multiple``."""
    height, width = pixels.shape[:2]
    below, beside = -height % multiple, -width % multiple
    return np.pad(pixels, ((0, below), (0, beside), (0, 0)), constant_values=PAD_VALUE)
