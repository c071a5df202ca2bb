"""Training samples made on the device that trains, a batch at a time, from images that stay in its memory.

A GPU takes in samples faster than processors can cut and resize them. Here the processors only draw the plans
(``rnnpool.data.training_samples``); pixels are cut, resized and distorted where they are used. Resizing is linear, so
that a crop is two matrix products, rows @ image @ columns, with one matrix of weights an axis: any window, any filter,
and places beyond the image have no weight. Samples equal those made on the processor up to rounding.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rnnpool.data.augment import SHRINK_FILTERS, AugmentConfig
from rnnpool.data.collate import PackedTargets, pack_targets
from rnnpool.data.samples import PAD_VALUE, DetectionDataset, normalise
from rnnpool.data.training_samples import SamplePlan, TrainingSamples
from rnnpool.errors import InputError

_FILTERS = tuple(SHRINK_FILTERS)


class PackedPlans(NamedTuple):
    """The plans of B samples of P parts as tensors, to be sent to a device in a few pieces."""

    parts: Tensor  # int64 (P, 7): sample, dataset, image, filter, left, top, size
    windows: Tensor  # float32 (P, 3): x, y, side
    flips: Tensor  # bool (B,)
    exposures: Tensor  # float32 (B, 3): gamma, contrast, shift
    colours: Tensor  # float32 (B, 3, 3): matrices to multiply RGB rows with
    blurs: Tensor  # float32 (B,): standard deviations, 0 where none
    noises: Tensor  # float32 (B,): standard deviations, 0 where none
    noise_seed: int  # of the whole batch
    cutouts: Tensor  # int64 (B, 4): left, top, width, height; all 0 where none

    def to(self, device: torch.device) -> "PackedPlans":
        moved = (x.to(device, non_blocking=True) if isinstance(x, Tensor) else x for x in self)
        return PackedPlans(*moved)  # type: ignore[arg-type]


class SamplePlans:
    """The plans of ``samples`` as a data set for a loader: everything that is done on the processor."""

    def __init__(self, samples: TrainingSamples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def set_epoch(self, epoch: int) -> None:
        self.samples.set_epoch(epoch)

    def __getitem__(self, index: int) -> SamplePlan:
        return self.samples.plan(index)


def pack(plans: Sequence[SamplePlan]) -> tuple[PackedPlans, PackedTargets]:
    """For a loader's ``collate``."""
    parts = [
        (number, p.dataset, p.image, _FILTERS.index(p.shrink_filter), p.left, p.top, p.size)
        for number, plan in enumerate(plans)
        for p in plan.parts
    ]
    windows = [(p.window.x, p.window.y, p.window.side) for plan in plans for p in plan.parts]
    drawn = [plan.distortion for plan in plans]
    packed = PackedPlans(
        torch.tensor(parts),
        torch.tensor(windows, dtype=torch.float32),
        torch.tensor([plan.flip for plan in plans]),
        torch.tensor([(d.gamma, d.contrast, d.shift) for d in drawn], dtype=torch.float32),
        torch.from_numpy(np.stack([d.colour_matrix() for d in drawn])),
        torch.tensor([d.blur_radius for d in drawn], dtype=torch.float32),
        torch.tensor([d.noise_sigma for d in drawn], dtype=torch.float32),
        max(d.noise_seed for d in drawn),
        torch.tensor([plan.cutout or (0, 0, 0, 0) for plan in plans]),
    )
    return packed, pack_targets([plan.boxes for plan in plans], [plan.ignore for plan in plans])


class DeviceCrops:
    """Turns packed plans into the network's input: float32 (B, C, S, S) in (v - 128) / 128, on ``device``.

    Args:
        sets: the images that plans name, by the number of their set.
        config: the augmentation that drew the plans.
        device: where the images are kept; they take one byte a pixel of the widest image times the highest, each.

    Raises:
        InputError: the images do not fit in the device's memory.
    """

    def __init__(self, sets: Sequence[DetectionDataset], config: AugmentConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.images = [_Resident(each, device) for each in sets]

    @torch.no_grad()
    def __call__(self, plans: PackedPlans) -> Tensor:
        size, blurred = self.config.size, (plans.blurs > 0).nonzero().squeeze(1)
        members = [(plans.parts[:, 1] == number).nonzero().squeeze(1) for number in range(len(self.images))]
        plans = plans.to(self.device)
        count, channels = len(plans.flips), self.images[0].channels
        # Levels less PAD_VALUE: what no part covers stays 0, which is the padding.
        values = torch.zeros(count, channels, size, size, device=self.device)
        for images, chosen in zip(self.images, members, strict=True):
            if len(chosen):
                chosen = chosen.to(self.device, non_blocking=True)
                parts = plans.parts[chosen]
                values.index_add_(0, parts[:, 0], images.crops(parts, plans.windows[chosen], size))
        values = torch.where(plans.flips[:, None, None, None], values.flip(3), values) + PAD_VALUE
        if len(blurred):
            chosen = blurred.to(self.device, non_blocking=True)
            values[chosen] = _blur(
                values[chosen], plans.blurs[chosen], math.ceil(3 * self.config.photometric.blur_radius)
            )
        values = _expose(values.clamp_(0, 255), plans.exposures)
        if channels == 3:
            values = torch.einsum("bchw,bcd->bdhw", values, plans.colours)
        if self.config.photometric.noise_probability > 0:
            generator = torch.Generator(self.device).manual_seed(plans.noise_seed)
            noise = torch.randn(values.shape, generator=generator, device=self.device)
            values.addcmul_(noise, plans.noises[:, None, None, None])
        values.clamp_(0, 255)
        if self.config.cutout > 0:
            values.masked_fill_(_rectangles(plans.cutouts, size)[:, None], PAD_VALUE)
        return normalise(values)


class _Resident:
    """All images of a set, each in the corner of a canvas as large as the widest and the highest need."""

    def __init__(self, images: DetectionDataset, device: torch.device) -> None:
        pixels = images.pixels
        sizes = [pixels.size(i) for i in range(len(pixels))]
        width, height = (max(side) for side in zip(*sizes, strict=True))
        self.channels = pixels.channels
        try:
            self.canvases = torch.full(
                (len(pixels), self.channels, height, width), PAD_VALUE, dtype=torch.uint8, device=device
            )
        except torch.OutOfMemoryError as error:
            size = len(pixels) * self.channels * height * width
            raise InputError(f"{len(pixels)} images do not fit in the memory of {device}: {size} bytes") from error
        for i, (w, h) in enumerate(sizes):
            self.canvases[i, :, :h, :w] = torch.from_numpy(pixels[i]).permute(2, 0, 1)
        self.sizes = torch.tensor(sizes, device=device)  # (N, 2) width, height

    def crops(self, parts: Tensor, windows: Tensor, size: int) -> Tensor:
        """float32 (P, C, size, size): each part at its place, levels less PAD_VALUE, and 0 elsewhere."""
        image, filters, left, top, side = parts[:, 2:].T
        scale = windows[:, 2] / side  # pixels of the image per pixel of the output
        width, height = self.sizes[image].T
        canvas = self.canvases[image]  # (P, C, H, W) uint8
        # Levels are exact in half precision and weights to 11 bits, so that a product is to a fraction of a level.
        kind = torch.float16 if canvas.is_cuda else torch.float32
        axes = ((windows[:, 1], top, height, canvas.shape[2]), (windows[:, 0], left, width, canvas.shape[3]))
        rows, columns = (
            resize_weights(start, scale, place, side, filters, length, size, extent).to(kind)
            for start, place, length, extent in axes
        )  # (P, size, H), (P, size, W)
        centred = canvas.to(kind) - PAD_VALUE
        return (rows[:, None] @ centred @ columns[:, None].mT).float()


def resize_weights(
    start: Tensor, scale: Tensor, place: Tensor, side: Tensor, filters: Tensor, length: Tensor, size: int, extent: int
) -> Tensor:
    """Weights of an image's pixels in the pixels of a crop, along one axis: float32 (P, size, extent).

    Row k is pixel k of the sample. It is 0 outside the part, and where the image does not cover the pixel wholly;
    elsewhere its sum is 1.

    Args:
        start: (P,) where the window begins, in pixels of the image.
        scale: (P,) pixels of the image per pixel of the sample.
        place, side: (P,) first pixel of the part in the sample, and their number.
        filters: (P,) numbers of SHRINK_FILTERS; an image that is enlarged is always interpolated linearly.
        length: (P,) of the image.
        extent: of the axis that images are kept in, at least every length.
    """
    pixel = torch.arange(size, device=start.device)
    source = torch.arange(extent, device=start.device)
    begin = start[:, None] + (pixel - place[:, None]) * scale[:, None]  # (P, size)
    end = begin + scale[:, None]
    inside = (pixel >= place[:, None]) & (pixel < (place + side)[:, None])
    tolerance = 1e-3 * scale[:, None]  # single precision on coordinates of a thousand
    covered = inside & (begin >= -tolerance) & (end <= length[:, None] + tolerance)

    overlap = torch.minimum(source + 1, end[..., None]) - torch.maximum(source, begin[..., None])  # (P, size, extent)
    reach = scale.clamp(min=1)[:, None, None]  # a filter widens as it shrinks
    distance = ((source + 0.5 - (begin + end)[..., None] / 2) / reach).abs()
    triangle = (1 - distance).clamp(min=0)
    area = ((filters == _FILTERS.index("area")) & (scale > 1))[:, None, None]
    weights = torch.where(area, overlap.clamp(min=0), triangle)
    if len(_FILTERS) > 1:
        hamming = torch.sinc(distance) * (0.54 + 0.46 * torch.cos(torch.pi * distance)) * (distance < 1)
        chosen = ((filters == _FILTERS.index("hamming")) & (scale > 1))[:, None, None]
        weights = torch.where(chosen, hamming, weights)
    weights = weights * (source < length[:, None, None])
    return weights / weights.sum(2, keepdim=True).clamp(min=1e-6) * covered[..., None]


def _blur(values: Tensor, radii: Tensor, half: int) -> Tensor:
    """Gaussians of standard deviations ``radii`` (B,), cut off ``half`` pixels from their centre."""
    offsets = torch.arange(-half, half + 1, device=values.device)
    taps = torch.exp(-0.5 * (offsets / radii[:, None]) ** 2)  # (B, 2 half + 1)
    taps = (taps / taps.sum(1, keepdim=True)).repeat_interleave(values.shape[1], dim=0)[:, None]  # (B C, 1, taps)
    flat = F.pad(values.flatten(0, 1)[None], (half, half, half, half), mode="replicate")  # (1, B C, S + 2 half, ...)
    flat = F.conv2d(F.conv2d(flat, taps[..., None], groups=len(taps)), taps[..., None, :], groups=len(taps))
    return flat.view(values.shape)


def _expose(values: Tensor, exposures: Tensor) -> Tensor:
    """As the tables of ``rnnpool.data.photometric``: gamma, then contrast about the mean, then brightness."""
    gamma, contrast, shift = (each.view(-1, 1, 1, 1) for each in exposures.T)
    mean = values.mean(dim=(1, 2, 3), keepdim=True)
    pivot = 255 * (mean / 255) ** gamma
    return (pivot + contrast * (255 * (values / 255) ** gamma - pivot) + shift).clamp_(0, 255)


def _rectangles(cutouts: Tensor, size: int) -> Tensor:
    """bool (B, size, size): True inside each one's rectangle."""
    pixel = torch.arange(size, device=cutouts.device)
    left, top, width, height = (each[:, None] for each in cutouts.T)
    across = (pixel >= left) & (pixel < left + width)
    down = (pixel >= top) & (pixel < top + height)
    return down[:, :, None] & across[:, None, :]
