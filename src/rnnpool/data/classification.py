"""Batches for classifiers: random resized crops and flips to train on, the centre to evaluate on.

Batches are levels in 0..255; ``normalise_pixels`` turns them into the network's input on the device where it runs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from rnnpool.data.draws import uniforms
from rnnpool.data.labelled import LabelledImages
from rnnpool.data.photometric import Distortion, PhotometricConfig, distort, draw_distortion
from rnnpool.errors import InputError

_TRIES = 10  # for a window that fits, as torchvision's RandomResizedCrop


@dataclass(frozen=True)
class ImageAugment:
    """How training images are changed.

    Attributes:
        crop_scale: share of the image's area that a crop has; (1, 1) with a ratio of (1, 1) keeps square images whole.
        crop_ratio: the crop's width / height, log-uniform.
        flip: probability of mirroring left and right.
        colour: distortion of the colours; None: none.
    """

    crop_scale: tuple[float, float] = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    colour: PhotometricConfig | None = None

    def __post_init__(self) -> None:
        low, high = self.crop_scale
        if not 0.0 < low <= high <= 1.0:
            raise InputError(f"augment.crop_scale is {self.crop_scale}; expected 0 < low <= high <= 1")
        if not 0.0 < self.crop_ratio[0] <= self.crop_ratio[1]:
            raise InputError(f"augment.crop_ratio is {self.crop_ratio}; expected 0 < low <= high")
        if not 0.0 <= self.flip <= 1.0:
            raise InputError(f"augment.flip is {self.flip}; a probability is 0..1")


def least_side(augment: ImageAugment, size: int, test_crop: float) -> int:
    """Pixels that an image's shorter side must keep so that neither a crop nor the test's resizing lacks any.

    The narrowest crop is of the least area and the most extreme aspect.
    """
    widest = max(augment.crop_ratio[1], 1 / augment.crop_ratio[0])
    return math.ceil(max(size / math.sqrt(augment.crop_scale[0] / widest), size / test_crop))


class TrainingImages:
    """Augmented samples by (epoch, index): a pure function of both and the seed.

    Args:
        size: side of the square that the network sees, in pixels.
    """

    def __init__(self, images: LabelledImages, augment: ImageAugment, size: int, seed: int) -> None:
        self.images, self.augment, self.size, self.seed = images, augment, size, seed

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, keys: Sequence[tuple[int, int]], sizes: Sequence[tuple[int, int]] | None = None) -> "DrawnViews":
        """What the samples show, without a look at their pixels; ``sizes`` as of ``LabelledImages.windows_of``."""
        epochs, indices = np.array(keys).T
        numbers = uniforms(self.seed, epochs, indices, 4 * _TRIES + 1)
        regions = self.images.windows_of(indices, sizes)
        shapes = regions[:, [3, 2]]
        windows = random_windows(shapes, numbers[:, :-1], self.augment.crop_scale, self.augment.crop_ratio)
        windows[:, :2] += regions[:, [1, 0]]
        colour, distortions = self.augment.colour, None
        if colour is not None:
            channels = self.images.pixels.channels
            generators = (np.random.default_rng((self.seed, *key)) for key in keys)
            distortions = [draw_distortion(colour, channels, rng) for rng in generators]
        return DrawnViews(self.images.images_of(indices), windows, numbers[:, -1] < self.augment.flip, distortions)

    def batch(self, keys: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """uint8 (B, C, size, size) of the samples, and their targets (B,) or (B, K)."""
        numbers = self.images.images_of(np.array([index for _, index in keys]))
        images = [self.images.pixels[int(number)] for number in numbers]  # each is decoded once
        drawn = self.draw(keys, [(image.shape[1], image.shape[0]) for image in images])
        made = [self._made(image, drawn, place) for place, image in enumerate(images)]
        return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2), self.targets(keys)

    def targets(self, keys: Sequence[tuple[int, int]]) -> Tensor:
        """(B,) or (B, K) of the samples."""
        return torch.from_numpy(self.images.targets[[index for _, index in keys]])

    def _made(self, image: np.ndarray, drawn: "DrawnViews", place: int) -> np.ndarray:
        """uint8 (size, size, C)."""
        crop = _resized(image, drawn.windows[place], self.size)
        if drawn.distortions is not None:
            crop = np.rint(distort(crop, drawn.distortions[place])).astype(np.uint8)
        return crop[:, ::-1] if drawn.flips[place] else crop


@dataclass(frozen=True)
class DrawnViews:
    """B samples as they were drawn."""

    images: np.ndarray  # int64 (B,)
    windows: np.ndarray  # int64 (B, 4): top, left, height, width in pixels of the image
    flips: np.ndarray  # bool (B,)
    distortions: list[Distortion] | None


class CentreImages:
    """Samples to evaluate on: the shorter side resized to ``size / crop``, then the central square.

    Args:
        crop: share of the shorter side that is seen, e.g. 0.875 (crop 224 after resizing to 256).
    """

    def __init__(self, images: LabelledImages, size: int, crop: float) -> None:
        self.images, self.size, self.crop = images, size, crop

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, keys: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """As ``TrainingImages.batch``; the epoch does not matter."""
        indices = [index for _, index in keys]
        side = (self.size, self.size)
        crops = torch.stack([centre_crop(self.images.region(index), side, self.crop) for index in indices])
        return crops, torch.from_numpy(self.images.targets[indices])


def centre_crop(pixels: np.ndarray, size: tuple[int, int], crop: float) -> Tensor:
    """What a classifier sees of an image: resized until ``size`` covers the share ``crop`` of it, the middle cut out.

    Args:
        pixels: uint8 (H, W, C).
        size: (h, w) of the result; where they are equal, this is torchvision's Resize and CenterCrop.

    Returns:
        uint8 (C, h, w).
    """
    (height, width), (h, w) = pixels.shape[:2], size
    if h * width >= w * height:  # the height is what there is least of
        down = round(h / crop)
        across = max(w, down * width // height)
    else:
        across = round(w / crop)
        down = max(h, across * height // width)
    image = _as_tensor(pixels)
    if (down, across) != (height, width):
        image = F.resize(image, [down, across], antialias=True)
    return F.center_crop(image, [h, w])


def random_windows(
    shapes: np.ndarray, drawn: np.ndarray, scale: tuple[float, float], ratio: tuple[float, float]
) -> np.ndarray:
    """Windows of random area and aspect, the algorithm of torchvision's RandomResizedCrop for a batch.

    Args:
        shapes: int (B, 2) height and width of the images.
        drawn: (B, 4 * tries) uniform numbers: of each try the area, the aspect, the place down and across.

    Returns:
        int (B, 4): top, left, height, width. Where no try fits, the largest central window of an allowed aspect.
    """
    height, width = shapes[:, :1], shapes[:, 1:]  # (B, 1)
    area, aspect, down, across = np.moveaxis(drawn.reshape(len(drawn), -1, 4), 2, 0)  # (B, tries) each
    area = height * width * (scale[0] + (scale[1] - scale[0]) * area)
    aspect = np.exp(np.log(ratio[0]) + np.log(ratio[1] / ratio[0]) * aspect)
    w, h = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits.argmax(axis=1)[:, None]
    w, h, down, across = (np.take_along_axis(values, first, axis=1) for values in (w, h, down, across))  # (B, 1)
    windows = np.concatenate([np.floor(down * (height - h + 1)), np.floor(across * (width - w + 1)), h, w], axis=1)
    fallback = _central_windows(height, width, ratio)
    return np.where(fits.any(axis=1)[:, None], windows, fallback).astype(np.int64)


def _central_windows(height: np.ndarray, width: np.ndarray, ratio: tuple[float, float]) -> np.ndarray:
    w = np.maximum(1, np.minimum(width, np.rint(height * ratio[1])))
    h = np.maximum(1, np.minimum(height, np.rint(width / ratio[0])))
    return np.concatenate([(height - h) // 2, (width - w) // 2, h, w], axis=1)


def _resized(pixels: np.ndarray, window: np.ndarray, size: int) -> np.ndarray:
    """uint8 (size, size, C) of the window of ``pixels`` (H, W, C)."""
    top, left, height, width = window.tolist()
    crop = pixels[top : top + height, left : left + width]
    if (height, width) == (size, size):
        return crop
    # Contiguous pixels are resized twice as fast as a window's.
    return F.resize(_as_tensor(np.ascontiguousarray(crop)), [size, size], antialias=True).permute(1, 2, 0).numpy()


def _as_tensor(pixels: np.ndarray) -> Tensor:
    """(H, W, C) -> (C, H, W), no copy."""
    return torch.from_numpy(pixels).permute(2, 0, 1)


def normalise_pixels(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Levels in 0..255, uint8 or float32 (B, C, H, W) -> float32 (v - mean) / std.

    ``mean`` and ``std`` have one number for all channels or one each, in grey levels.
    """
    shape = (1, -1, 1, 1)
    centre = torch.tensor(mean, device=pixels.device).view(shape)
    spread = torch.tensor(std, device=pixels.device).view(shape)
    return (pixels.float() - centre) / spread
