"""Samples of images with lists of boxes into a batch.

The boxes of a batch travel in one piece: hundreds of small tensors would take longer to hand from process to process
and to a device than the images.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T", bound=tuple)


class PackedTargets(NamedTuple):
    """The targets of B samples."""

    boxes: Tensor  # float32 (T, 4), all samples' one after another
    ignore: Tensor  # float32 (M, 4), likewise
    box_counts: list[int]  # (B,)
    ignore_counts: list[int]  # (B,)

    def unpack(self) -> list[dict[str, Tensor]]:
        """A dict of ``boxes`` (n, 4) and ``ignore`` (m, 4) a sample: views, no copies."""
        boxes, ignore = self.boxes.split(self.box_counts), self.ignore.split(self.ignore_counts)
        return [{"boxes": b, "ignore": i} for b, i in zip(boxes, ignore, strict=True)]


def pack_targets(boxes: Sequence[np.ndarray], ignore: Sequence[np.ndarray]) -> PackedTargets:
    """Of each sample's boxes, float32 (n, 4), and regions to ignore, float32 (m, 4)."""
    counts = [len(each) for each in boxes], [len(each) for each in ignore]
    return PackedTargets(torch.from_numpy(np.concatenate(boxes)), torch.from_numpy(np.concatenate(ignore)), *counts)


def collate_detection(items: Sequence[tuple[Tensor, dict[str, Tensor]]]) -> tuple[Tensor, PackedTargets]:
    """(image (C, S, S), target) pairs -> images (B, C, S, S) and their targets."""
    images, targets = zip(*items, strict=True)
    boxes, ignore = ([target[key].numpy() for target in targets] for key in ("boxes", "ignore"))
    return torch.stack(images), pack_targets(boxes, ignore)


def to_device(packed: T, device: torch.device) -> T:
    """A named tuple with its tensors, those of named tuples in it too, on ``device``; other fields as they are."""

    def moved(field: Any) -> Any:
        if isinstance(field, Tensor):
            return field.to(device, non_blocking=True)
        return to_device(field, device) if isinstance(field, tuple) else field

    return type(packed)(*map(moved, packed))
