"""What every detection data set yields, and the base class of them all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from rnnpool.data.pixel_cache import Pixels

# The grey that pads images: 0 after normalisation.
PAD_VALUE = 128


@dataclass(frozen=True)
class Sample:
    """One image with its boxes, in pixels of the image.

    Attributes:
        image: uint8 (C, H, W), C = 1 (grey) or 3 (RGB).
        boxes: float32 (n, 4), x1 y1 x2 y2 of the objects.
        ignore: float32 (m, 4), regions that count neither as object nor as background.
        path: the image file.
    """

    image: Tensor
    boxes: Tensor
    ignore: Tensor
    path: Path


@dataclass(frozen=True)
class Annotation:
    """Boxes of one image file: ``boxes`` and ``ignore`` are float32 (n, 4), x1 y1 x2 y2 in pixels."""

    path: Path
    boxes: np.ndarray
    ignore: np.ndarray


def normalise(image: Tensor) -> Tensor:
    """uint8 or float pixels in 0..255 -> the networks' float32 input (v - 128) / 128."""
    return (image.to(torch.float32) - 128.0) / 128.0


class DetectionDataset(Dataset[Sample]):
    """Images with boxes as :class:`Sample`; subclasses read the annotations.

    Args:
        pixels: of every image.
        annotations: one per image, in the same order.
    """

    def __init__(self, pixels: Pixels, annotations: Sequence[Annotation]):
        self.pixels = pixels
        self.annotations = list(annotations)

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return self.pixels.channels

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, index: int) -> Sample:
        annotation = self.annotations[index]
        return Sample(
            image=torch.from_numpy(self.pixels[index]).permute(2, 0, 1),  # (H, W, C) -> (C, H, W), no copy
            boxes=torch.from_numpy(annotation.boxes.copy()),
            ignore=torch.from_numpy(annotation.ignore.copy()),
            path=annotation.path,
        )
