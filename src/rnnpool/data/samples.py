"""What every detection data set yields, and the base class that reads pixels for all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from rnnpool.data.pixel_cache import PixelCache, decode, open_cache
from rnnpool.errors import InputError

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
        annotations: one per image.
        channels: 1 (grey, Pillow's "L") or 3 (RGB).
        cache: folder for decoded pixels (see :mod:`rnnpool.data.pixel_cache`); None decodes at every access.
        root: folder that the data set lies in; makes the cache independent of where that is.
        progress: called with (done, total) while the cache is built.
    """

    def __init__(
        self,
        annotations: Sequence[Annotation],
        *,
        channels: int,
        cache: str | Path | None = None,
        root: Path,
        progress: Callable[[int, int], None] | None = None,
    ):
        if channels not in (1, 3):
            raise InputError(f"channels is {channels}; expected 1 (grey) or 3 (RGB)")
        self.annotations = list(annotations)
        self.channels = channels
        self._cache: PixelCache | None = None
        if cache is not None:
            paths = [a.path for a in self.annotations]
            self._cache = open_cache(cache, paths, channels, root=root, progress=progress)

    def __len__(self) -> int:
        return len(self.annotations)

    def pixels(self, index: int) -> np.ndarray:
        """uint8 (H, W, channels); a view into the cache where there is one: not to be written to."""
        return self._cache[index] if self._cache is not None else decode(self.annotations[index].path, self.channels)

    def __getitem__(self, index: int) -> Sample:
        annotation = self.annotations[index]
        return Sample(
            image=torch.from_numpy(self.pixels(index)).permute(2, 0, 1),  # (H, W, C) -> (C, H, W), no copy
            boxes=torch.from_numpy(annotation.boxes.copy()),
            ignore=torch.from_numpy(annotation.ignore.copy()),
            path=annotation.path,
        )
