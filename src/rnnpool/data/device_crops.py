"""Training samples of a detector made on the device that trains, a batch at a time.

The processors only draw the plans (``rnnpool.data.training_samples``); pixels are cut, resized and distorted where they
are used. Samples equal those made on the processor up to rounding, except that noise comes from another generator and
that blur is a Gaussian, which Pillow approximates by boxes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnnpool.data.augment import AugmentConfig
from rnnpool.data.collate import PackedTargets, pack_targets, to_device
from rnnpool.data.device_distortion import PackedDistortions, distort_batch, pack_distortions
from rnnpool.data.pixel_cache import Pixels
from rnnpool.data.resident import FILTERS, Axis, ResidentImages
from rnnpool.data.samples import PAD_VALUE, normalise
from rnnpool.data.training_samples import SamplePlan, TrainingSamples


class PackedPlans(NamedTuple):
    """The plans of B samples of P parts as tensors, to be sent to a device in a few pieces."""

    parts: Tensor  # int64 (P, 7): sample, dataset, image, filter, left, top, size
    windows: Tensor  # float64 (P, 3): x, y, side
    flips: Tensor  # bool (B,)
    distortions: PackedDistortions
    cutouts: Tensor  # int64 (B, 4): left, top, width, height; all 0 where none


class PlanBatches:
    """The plans of ``samples`` as a data set that makes whole batches: all that is done on the processor."""

    def __init__(self, samples: TrainingSamples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, keys: Sequence[tuple[int, int]]) -> tuple[PackedPlans, PackedTargets]:
        """Of these (epoch, index) pairs."""
        return pack([self.samples.plan(*key) for key in keys])


def pack(plans: Sequence[SamplePlan]) -> tuple[PackedPlans, PackedTargets]:
    """Plans, and what they have for targets, as tensors in the processor's memory."""
    parts = [
        (number, p.dataset, p.image, FILTERS.index(p.shrink_filter), p.left, p.top, p.size)
        for number, plan in enumerate(plans)
        for p in plan.parts
    ]
    windows = [(p.window.x, p.window.y, p.window.side) for plan in plans for p in plan.parts]
    packed = PackedPlans(
        torch.tensor(parts),
        torch.tensor(windows, dtype=torch.float64),
        torch.tensor([plan.flip for plan in plans]),
        pack_distortions([plan.distortion for plan in plans]),
        torch.tensor([plan.cutout or (0, 0, 0, 0) for plan in plans]),
    )
    return packed, pack_targets([plan.boxes for plan in plans], [plan.ignore for plan in plans])


class DeviceCrops:
    """Turns packed plans into the network's input: float32 (B, C, S, S) in (v - 128) / 128, on ``device``.

    Args:
        sets: the images that plans name, by the number of their set.
        config: the augmentation that drew the plans.
    """

    def __init__(self, sets: Sequence[Pixels], config: AugmentConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.images = ResidentImages(sets, device)

    @torch.no_grad()
    def __call__(self, plans: PackedPlans) -> Tensor:
        size = self.config.size
        images = self.images.offsets[plans.parts[:, 1]] + plans.parts[:, 2]
        width, height = self.images.sizes[images].to(self.device, non_blocking=True).T
        plans = to_device(plans, self.device)
        sample, _, _, filters, left, top, count = plans.parts.T
        x, y, side = plans.windows.T
        low, scale = torch.zeros_like(left), side / count
        crops = self.images.crops(
            images,
            down=Axis(y, scale, top, count, low, height),
            across=Axis(x, scale, left, count, low, width),
            filters=filters,
            size=size,
            any_hamming="hamming" in self.config.shrink_filters,
        )
        # Levels less PAD_VALUE: what no part covers stays 0, which is the padding.
        values = crops.new_zeros(len(plans.flips), *crops.shape[1:]).index_add_(0, sample, crops)
        values = torch.where(plans.flips[:, None, None, None], values.flip(3), values) + PAD_VALUE
        values = distort_batch(values, plans.distortions, self.config.photometric)
        if self.config.cutout > 0:
            values = values.masked_fill(_rectangles(plans.cutouts, size)[:, None], PAD_VALUE)
        return normalise(values)


def _rectangles(cutouts: Tensor, size: int) -> Tensor:
    """bool (B, size, size): True inside each one's rectangle."""
    pixel = torch.arange(size, device=cutouts.device)
    left, top, width, height = (each[:, None] for each in cutouts.T)
    across = (pixel >= left) & (pixel < left + width)
    down = (pixel >= top) & (pixel < top + height)
    return down[:, :, None] & across[:, None, :]
