"""Images for calibration, prepared as the network's user prepares them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnpool.data.classification import centre_crop
from rnnpool.data.pixel_cache import decode
from rnnpool.data.samples import normalise
from rnnpool.preprocess import pad_to_multiple, resize_to_area

BATCH = 8
CENTRE = 0.875  # 224 of 256 pixels


def evenly_spaced(count: int, total: int) -> list[int]:
    """``count`` of the numbers below ``total``; all, if there are fewer."""
    count = min(count, total)
    return [(2 * i + 1) * total // (2 * count) for i in range(count)]


def whole_images(
    paths: Iterable[Path], channels: int, input_size: tuple[int, int], multiple: int
) -> list[NDArray[np.uint8]]:
    """A detector's images (C, H, W): resized to the input's area, padded to multiples of ``multiple``."""
    return [whole_image(decode(path, channels), input_size, multiple) for path in paths]


def whole_image(pixels: NDArray[np.uint8], input_size: tuple[int, int], multiple: int) -> NDArray[np.uint8]:
    """One of ``whole_images``, from (H, W, C)."""
    return pad_to_multiple(resize_to_area(pixels, input_size), multiple).transpose(2, 0, 1)


def centre_crops(
    paths: Iterable[Path], channels: int, input_size: tuple[int, int], share: float = CENTRE
) -> list[NDArray[np.uint8]]:
    """A classifier's images (C, H, W), as ``centre_crop`` cuts them."""
    return [centre_crop(decode(path, channels), input_size, share).numpy() for path in paths]


def batches(images: Iterable[NDArray[np.uint8]]) -> list[Tensor]:
    """Network inputs (B, C, H, W) of equal size together, at most ``BATCH`` at once."""
    groups: dict[tuple[int, ...], list[NDArray[np.uint8]]] = {}
    for image in images:
        groups.setdefault(image.shape, []).append(image)
    parts = [group[i : i + BATCH] for group in groups.values() for i in range(0, len(group), BATCH)]
    return [normalise(torch.from_numpy(np.stack(part))) for part in parts]
