"""Images for calibration, prepared as the network's user prepares them."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rnnpool.commands.image_files import find_images
from rnnpool.data.pixel_cache import decode
from rnnpool.data.samples import normalise
from rnnpool.errors import InputError
from rnnpool.preprocess import pad_to_multiple, resize_to_area

BATCH = 8


def choose_images(folder: Path, count: int) -> list[Path]:
    """``count`` of the images below a folder (all if there are fewer), evenly spaced in the order of their names.

    Raises:
        InputError: no such folder, no images there, or a count below 1.
    """
    if count < 1:
        raise InputError(f"the number of images is {count}; it must be at least 1")
    files, problems = find_images([folder])
    if problems:
        raise InputError(problems[0])
    picked = np.unique(np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int))
    return [files[i].path for i in picked]


def whole_images(
    paths: Iterable[Path], channels: int, input_size: tuple[int, int], multiple: int
) -> list[NDArray[np.uint8]]:
    """A detector's images (C, H, W): resized to the input's area, padded to multiples of ``multiple``."""
    images = (resize_to_area(decode(path, channels), input_size) for path in paths)
    return [pad_to_multiple(image, multiple).transpose(2, 0, 1) for image in images]


def centre_crops(paths: Iterable[Path], channels: int, input_size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """A classifier's images (C, H, W): the short side to 8/7 of the input's (256 for 224), the middle cut out."""
    return [_centre_crop(decode(path, channels), input_size).transpose(2, 0, 1) for path in paths]


def _centre_crop(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    scale = max(size[0] / height, size[1] / width) * 8 / 7
    resized = math.ceil(width * scale), math.ceil(height * scale)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    left, top = (resized[0] - size[1]) // 2, (resized[1] - size[0]) // 2
    image = image.resize(resized, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image.crop((left, top, left + size[1], top + size[0]))).reshape(*size, pixels.shape[2])


def batches(images: Iterable[NDArray[np.uint8]]) -> list[Tensor]:
    """Network inputs (B, C, H, W) of equal size together, at most ``BATCH`` at once."""
    groups: dict[tuple[int, ...], list[NDArray[np.uint8]]] = {}
    for image in images:
        groups.setdefault(image.shape, []).append(image)
    parts = [group[i : i + BATCH] for group in groups.values() for i in range(0, len(group), BATCH)]
    return [normalise(torch.from_numpy(np.stack(part))) for part in parts]
