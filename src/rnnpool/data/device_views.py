"""Training samples of a classifier made on the device that trains, a batch at a time; see ``rnnpool.data.resident``.

Samples equal those that ``TrainingImages`` makes on the processor as those of ``rnnpool.data.device_crops`` do.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnnpool.data.classification import TrainingImages
from rnnpool.data.collate import to_device
from rnnpool.data.device_distortion import PackedDistortions, distort_batch, pack_distortions
from rnnpool.data.resident import FILTERS, Axis, ResidentImages
from rnnpool.data.samples import PAD_VALUE


class PackedViews(NamedTuple):
    """B samples, to be sent to a device in a few pieces."""

    images: Tensor  # int64 (B,)
    windows: Tensor  # int64 (B, 4): top, left, height, width
    flips: Tensor  # bool (B,)
    distortions: PackedDistortions | None


class ViewBatches:
    """The samples of ``images`` as a data set that makes whole batches: everything that is done on the processor."""

    def __init__(self, images: TrainingImages) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, keys: Sequence[tuple[int, int]]) -> tuple[PackedViews, Tensor]:
        """The samples of these (epoch, index) pairs, and their targets (B,) or (B, K)."""
        drawn = self.images.draw(keys)
        distortions = pack_distortions(drawn.distortions) if drawn.distortions is not None else None
        images, windows, flips = map(torch.from_numpy, (drawn.images, drawn.windows, drawn.flips))
        return PackedViews(images, windows, flips, distortions), self.images.targets(keys)


class DeviceViews:
    """Turns packed samples into pixels: float32 (B, C, size, size) in 0..255, on ``device``."""

    def __init__(self, images: TrainingImages, device: torch.device) -> None:
        self.size, self.colour, self.device = images.size, images.augment.colour, device
        self.images = ResidentImages([images.images.pixels], device)

    @torch.no_grad()
    def __call__(self, views: PackedViews) -> Tensor:
        images, views = views.images, to_device(views, self.device)
        top, left, height, width = views.windows.T
        first = torch.zeros_like(top)
        side = torch.full_like(top, self.size)
        # A crop is cut out before it is resized: the filter sees nothing beyond it.
        down = Axis(top.double(), height.double() / self.size, first, side, top, top + height)
        across = Axis(left.double(), width.double() / self.size, first, side, left, left + width)
        filters = torch.full_like(top, FILTERS.index("bilinear"))
        values = self.images.crops(images, down, across, filters, self.size) + PAD_VALUE
        if views.distortions is not None:
            assert self.colour is not None
            values = distort_batch(values, views.distortions, self.colour)
        return torch.where(views.flips[:, None, None, None], values.flip(3), values)
