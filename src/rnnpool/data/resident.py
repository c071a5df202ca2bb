"""Images that stay in a device's memory, and windows of them cut and resized there, a batch at a time.

A GPU takes in samples faster than processors can cut and resize them. Resizing is linear, so that a crop is two matrix
products, rows @ image @ columns, with one matrix of weights an axis: any window, any filter, and places beyond the
image have no weight.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnpool.data.augment import SHRINK_FILTERS
from rnnpool.data.pixel_cache import PixelCache, Pixels
from rnnpool.data.samples import PAD_VALUE
from rnnpool.errors import InputError

FILTERS = tuple(SHRINK_FILTERS)
# Images of about one area and aspect share canvases. One canvas for all would take four times the pixels of WIDER
# FACE, where these take 1.3 times.
_AREA_RATIO = 4
_ASPECTS = (0.6, 1.0, 1.7)  # width / height between tall, upright, lying and wide
# Of a device's free memory; the rest is for training.
_SHARE = 0.5

Crops = Literal["auto", "cpu", "device"]


class Axis(NamedTuple):
    """Where P windows lie along one axis, and where their pixels go; each (P,)."""

    start: Tensor  # float64: the window's first edge, in pixels of the image
    scale: Tensor  # float64: pixels of the image per pixel of the output
    first: Tensor  # int64: the first pixel of the output that the window fills
    length: Tensor  # int64: how many it fills
    low: Tensor  # int64: the image's pixels from ``low`` up to and without ``high`` may be read
    high: Tensor  # int64


class ResidentImages:
    """The images of several sets, numbered through, on ``device``.

    Raises:
        InputError: they do not fit in its memory.
    """

    def __init__(self, sets: Sequence[Pixels], device: torch.device) -> None:
        self.channels, self.device = sets[0].channels, device
        self.sizes = torch.from_numpy(np.concatenate([_sizes(pixels) for pixels in sets]))  # (N, 2) width, height
        self.offsets = torch.tensor([0, *(len(pixels) for pixels in sets)]).cumsum(0)  # first number of each set
        self._group, canvases = _grouped(self.sizes)
        self._place = torch.zeros_like(self._group)
        try:
            self._canvases = [
                torch.full((count, self.channels, height, width), PAD_VALUE, dtype=torch.uint8, device=device)
                for count, height, width in canvases
            ]
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"{len(self.sizes)} images do not fit in the memory of {device}: data.crops=cpu"
            ) from error
        filled = [0] * len(canvases)
        images = (pixels[i] for pixels in sets for i in range(len(pixels)))
        for number, (image, group) in enumerate(zip(images, self._group.tolist(), strict=True)):
            height, width = image.shape[:2]
            self._canvases[group][filled[group], :, :height, :width] = torch.from_numpy(image).permute(2, 0, 1)
            self._place[number] = filled[group]
            filled[group] += 1

    @torch.no_grad()
    def crops(
        self, images: Tensor, down: Axis, across: Axis, filters: Tensor, size: int, *, any_hamming: bool = False
    ) -> Tensor:
        """float32 (P, C, size, size): each window at its place, levels less PAD_VALUE, and 0 elsewhere.

        Args:
            images: int64 (P,) numbers, in the processor's memory; all else is on the device.
            filters: int64 (P,) numbers in FILTERS; an image that is enlarged is always interpolated linearly.
            any_hamming: see ``resize_weights``.
        """
        output = torch.empty(len(images), self.channels, size, size, device=self.device)
        groups, places = self._group[images], self._place[images]
        for number, canvases in enumerate(self._canvases):
            chosen = (groups == number).nonzero().squeeze(1)
            if not len(chosen):
                continue
            place, chosen = (x.to(self.device, non_blocking=True) for x in (places[chosen], chosen))
            canvas = canvases[place]  # (Q, C, H, W) uint8
            # Levels are exact in half precision and weights to 11 bits, so that a product is to a fraction of a level.
            kind = torch.float16 if canvas.is_cuda else torch.float32
            rows, columns = (
                resize_weights(
                    Axis(*(each[chosen] for each in axis)), filters[chosen], size, extent, any_hamming=any_hamming
                ).to(kind)
                for axis, extent in zip((down, across), canvas.shape[2:], strict=True)
            )  # (Q, size, H), (Q, size, W)
            output[chosen] = (rows[:, None] @ (canvas.to(kind) - PAD_VALUE) @ columns[:, None].mT).float()
        return output


def resize_weights(axis: Axis, filters: Tensor, size: int, extent: int, *, any_hamming: bool) -> Tensor:
    """Weights of an image's pixels in those of a crop, along one axis: float32 (P, size, extent).

    Row k is pixel k of the output. It is 0 outside the window's part of it, and where pixels that may be read do not
    cover it wholly; elsewhere its sum is 1.

    Args:
        extent: of the canvas.
        any_hamming: whether any of the filters is that one, which takes time.
    """
    start, scale, first, length, low, high = (each[:, None] for each in axis)  # (P, 1)
    pixel = torch.arange(size, device=start.device)
    source = torch.arange(extent, device=start.device)
    begin = start + (pixel - first) * scale  # (P, size)
    end = begin + scale
    tolerance = 1e-6 * scale
    covered = (pixel >= first) & (pixel < first + length) & (begin >= low - tolerance) & (end <= high + tolerance)

    begin, end, scale = begin.float(), end.float(), scale.float()
    # In place where that is possible: an array of weights is larger than the images.
    area = (end[..., None] - source).clamp_(0, 1).sub_((begin[..., None] - source).clamp_(0, 1))  # (P, size, extent)
    reach = scale.clamp(min=1)[..., None]  # a filter widens as it shrinks
    centre = (begin + end)[..., None] / 2 - 0.5
    weights = (centre - source).div_(reach).abs_().neg_().add_(1).clamp_(min=0)  # linear
    shrinks = (scale > 1)[..., None]
    if any_hamming:
        distance = 1 - weights
        hamming = torch.sinc(distance) * (0.54 + 0.46 * torch.cos(torch.pi * distance))
        weights = torch.where(shrinks & (filters == FILTERS.index("hamming"))[:, None, None], hamming, weights)
    weights = torch.where(shrinks & (filters == FILTERS.index("area"))[:, None, None], area, weights)
    weights.masked_fill_(((source < low) | (source >= high))[:, None], 0)
    return weights.mul_((covered / weights.sum(2).clamp_(min=1e-6))[..., None])


def use_device(crops: Crops, sets: Sequence[Pixels], device: torch.device) -> bool:
    """Whether crops are made on ``device``.

    "auto" does so on a GPU, for images that are decoded already (a cache) and take less than half of its free memory.
    """
    if crops != "auto":
        return crops == "device"
    if device.type != "cuda" or not all(isinstance(pixels, PixelCache) for pixels in sets):
        return False
    sizes = torch.from_numpy(np.concatenate([_sizes(pixels) for pixels in sets]))
    needed = sum(count * height * width for count, height, width in _grouped(sizes)[1]) * sets[0].channels
    return needed < _SHARE * torch.cuda.mem_get_info(device)[0]


def _sizes(pixels: Pixels) -> np.ndarray:
    return np.array([pixels.size(i) for i in range(len(pixels))], dtype=np.int64).reshape(-1, 2)


def _grouped(sizes: Tensor) -> tuple[Tensor, list[tuple[int, int, int]]]:
    """The group of each image by area and aspect, int64 (N,), and of each group its images, their height and width."""
    if not len(sizes):
        return sizes.new_zeros(0), []
    areas, aspects = sizes.prod(1), sizes[:, 0] / sizes[:, 1]
    kinds = torch.bucketize(aspects, torch.tensor(_ASPECTS))
    classes = ((areas / areas.min()).log() / math.log(_AREA_RATIO)).floor().long()
    _, group = torch.unique(classes * (len(_ASPECTS) + 1) + kinds, return_inverse=True)
    members = [sizes[group == each] for each in range(int(group.max()) + 1)]
    return group, [(len(each), int(each[:, 1].max()), int(each[:, 0].max())) for each in members]
