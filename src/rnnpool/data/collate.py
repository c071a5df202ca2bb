"""Samples of images with lists of boxes into a batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

Batch = tuple[Tensor, list[dict[str, Tensor]]]


def collate_detection(items: Sequence[tuple[Tensor, dict[str, Tensor]]]) -> Batch:
    """(image (C, S, S), target) pairs -> images (B, C, S, S) and the list of B targets."""
    images, targets = zip(*items, strict=True)
    return torch.stack(images), list(targets)
