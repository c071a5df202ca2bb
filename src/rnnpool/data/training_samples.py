"""Training samples of a detector: first drawn, then made.

A sample is drawn as a plan: which windows of which images it shows and how they are changed. That takes the boxes and
the sizes of the images, not their pixels. The pixels are then made one sample at a time here, or a batch at a time on a
GPU (``rnnpool.data.device_crops``).

Every plan is a pure function of (seed, epoch, index): a resumed run sees the very samples of an unbroken one, with any
number of worker processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rnnpool.data.augment import SHRINK_FILTERS, AugmentConfig
from rnnpool.data.box_transforms import (
    Window,
    assign_faces,
    crop_and_resize,
    face_window,
    flip_boxes,
    random_window,
)
from rnnpool.data.collate import PackedTargets, collate_detection
from rnnpool.data.photometric import Distortion, distort, draw_distortion
from rnnpool.data.samples import PAD_VALUE, DetectionDataset, normalise
from rnnpool.errors import InputError


@dataclass(frozen=True)
class Part:
    """A square of a sample: a window of one image, resized to ``size`` pixels, its corner at (``left``, ``top``)."""

    dataset: int  # 0: the source, 1: the extra images
    image: int  # its number there
    window: Window
    shrink_filter: str  # a key of SHRINK_FILTERS
    left: int
    top: int
    size: int


@dataclass(frozen=True)
class SamplePlan:
    """What was drawn for one sample.

    Attributes:
        parts: one, or the four of a mosaic; together they fill the sample.
        flip: whether the sample is mirrored, parts and all.
        distortion: of the colours.
        cutout: left, top, width and height of a grey rectangle; None: none.
        boxes, ignore: float32 (n, 4) and (m, 4), x1 y1 x2 y2 in pixels of the finished sample.
    """

    parts: tuple[Part, ...]
    flip: bool
    distortion: Distortion
    cutout: tuple[int, int, int, int] | None
    boxes: np.ndarray
    ignore: np.ndarray


# A part with its faces (n, 4) and regions to ignore (m, 4), in pixels of the sample.
_Placed = tuple[Part, np.ndarray, np.ndarray]


class TrainingSamples:
    """Augmented samples: ``self[epoch, i]`` is (image float32 (C, S, S) in (v - 128) / 128, target).

    The target is a dict of ``boxes`` float32 (n, 4) and ``ignore`` float32 (m, 4), x1 y1 x2 y2 in pixels of the crop.

    Args:
        source: the images that every epoch goes through once.
        config: the augmentation.
        seed: of all randomness.
        extra: a second set, of which every epoch takes a new random part.
        extra_share: share of ``extra`` in an epoch, 0..1 without 1.
    """

    def __init__(
        self,
        source: DetectionDataset,
        config: AugmentConfig,
        *,
        seed: int = 0,
        extra: DetectionDataset | None = None,
        extra_share: float = 0.15,
    ):
        if not 0.0 <= extra_share < 1.0:
            raise InputError(f"extra_share is {extra_share}; a share is 0 or more and below 1")
        if extra is not None and extra.channels != source.channels:
            raise InputError(f"extra images have {extra.channels} channels, the others {source.channels}")
        self.source = source
        self.sets: tuple[DetectionDataset, ...] = (source,) if extra is None else (source, extra)
        self.config = config
        self.seed = seed
        self._extra_length = round(len(source) * extra_share / (1.0 - extra_share)) if extra is not None else 0

    def __len__(self) -> int:
        return len(self.source) + self._extra_length

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, dict[str, Tensor]]:
        plan = self.plan(*key)
        image = torch.from_numpy(np.ascontiguousarray(self._pixels(plan).transpose(2, 0, 1)))
        return normalise(image), {"boxes": torch.from_numpy(plan.boxes), "ignore": torch.from_numpy(plan.ignore)}

    def batch(self, keys: Sequence[tuple[int, int]]) -> tuple[Tensor, PackedTargets]:
        """The samples of these (epoch, index) pairs: images (B, C, S, S) and their targets."""
        return collate_detection([self[key] for key in keys])

    def plan(self, epoch: int, index: int) -> SamplePlan:
        """What is drawn for sample ``index`` of an epoch."""
        rng = np.random.default_rng((self.seed, epoch, index))
        config = self.config
        is_mosaic = rng.random() < config.mosaic
        placed = self._mosaic(epoch, index, rng) if is_mosaic else [self._place(epoch, index, 0, 0, config.size, rng)]
        parts = tuple(part for part, _, _ in placed)
        boxes, ignore = (np.concatenate(list(each)) for each in list(zip(*placed, strict=True))[1:])
        flip = bool(rng.random() < config.flip)
        if flip:
            boxes, ignore = flip_boxes(boxes, config.size), flip_boxes(ignore, config.size)
        distortion = draw_distortion(config.photometric, self.source.channels, rng)
        cutout = None
        if rng.random() < config.cutout:
            cutout = _cutout(config.size, rng)
            boxes, ignore = _hide(cutout, boxes, ignore)
        return SamplePlan(parts, flip, distortion, cutout, boxes, ignore)

    def path(self, index: int, epoch: int) -> Path:
        """The image file that sample ``index`` of ``epoch`` is made of (of a mosaic: its first quarter's)."""
        dataset, number = self._origin(index, epoch)
        return self.sets[dataset].annotations[number].path

    def _pixels(self, plan: SamplePlan) -> np.ndarray:
        """float32 (S, S, C) in 0..255."""
        size = self.config.size
        canvas = np.empty((size, size, self.source.channels), np.uint8)
        for part in plan.parts:
            pixels = self.sets[part.dataset].pixels[part.image]
            square = crop_and_resize(pixels, part.window, part.size, SHRINK_FILTERS[part.shrink_filter])
            canvas[part.top : part.top + part.size, part.left : part.left + part.size] = square
        values = distort(canvas[:, ::-1] if plan.flip else canvas, plan.distortion)
        if plan.cutout:
            left, top, width, height = plan.cutout
            values[top : top + height, left : left + width] = PAD_VALUE
        return values

    def _origin(self, index: int, epoch: int) -> tuple[int, int]:
        """Set and number of a sample's image: those of ``source`` in order, beyond them random ones of ``extra``."""
        if index < len(self.source):
            return 0, index
        rng = np.random.default_rng((self.seed, epoch, index, 1))  # apart from the stream that augments the sample
        return 1, int(rng.integers(len(self.sets[1])))

    def _place(self, epoch: int, index: int, left: int, top: int, size: int, rng: np.random.Generator) -> _Placed:
        """A crop of sample ``index``'s image, for the square of ``size`` pixels at (``left``, ``top``)."""
        config = self.config
        dataset, number = self._origin(index, epoch)
        annotation = self.sets[dataset].annotations[number]
        width, height = self.sets[dataset].pixels.size(number)
        boxes = annotation.boxes
        if len(boxes) and rng.random() < config.face_probability:
            face = boxes[rng.integers(len(boxes))]
            window = face_window(rng, face, width, height, size, config.face_pixels, config.max_zoom)
        else:
            is_wide = rng.random() < config.wide_probability
            scale = config.wide_scale if is_wide else config.crop_scale
            window = random_window(rng, width, height, scale, min_side=size / config.max_zoom)
        shrink_filter = config.shrink_filters[rng.integers(len(config.shrink_filters))]
        faces, ignore = assign_faces(
            window.to_output(boxes, size), window.to_output(annotation.ignore, size), size, config.min_face
        )
        shift = np.array([left, top, left, top], np.float32)
        return Part(dataset, number, window, shrink_filter, left, top, size), faces + shift, ignore + shift

    def _mosaic(self, epoch: int, index: int, rng: np.random.Generator) -> list[_Placed]:
        """Four crops of half the size, of this image and three random ones (Bochkovskiy et al., YOLOv4, 2020)."""
        half = self.config.size // 2
        indices = [index, *rng.integers(len(self), size=3)]
        lefts, tops = (0, half, 0, half), (0, 0, half, half)
        return [self._place(epoch, int(i), x, y, half, rng) for i, x, y in zip(indices, lefts, tops, strict=True)]


def _cutout(size: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A rectangle of a tenth to a third of the sides (DeVries and Taylor, Cutout, 2017): left, top, width, height."""
    width, height = rng.integers(size // 10, size // 3, size=2)
    left, top = rng.integers(size - width), rng.integers(size - height)
    return int(left), int(top), int(width), int(height)


def _hide(cutout: tuple[int, int, int, int], boxes: np.ndarray, ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces of which the rectangle hides more than half move from ``boxes`` to ``ignore``."""
    left, top, width, height = cutout
    overlap = np.minimum(boxes[:, 2:], [left + width, top + height]) - np.maximum(boxes[:, :2], [left, top])
    hidden = overlap.clip(min=0).prod(axis=1) > 0.5 * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return boxes[~hidden], np.concatenate([ignore, boxes[hidden]])
