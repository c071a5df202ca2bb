"""Training samples of a detector: random crops, mosaics, flips, colour distortion, cutout, as a recipe says.

Every sample is a pure function of (seed, epoch, index): a resumed run sees the very samples of an unbroken one, with
any number of worker processes.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from rnnpool.data.box_transforms import assign_faces, crop_and_resize, face_window, flip_boxes, random_window
from rnnpool.data.photometric import PhotometricConfig, distort
from rnnpool.data.samples import PAD_VALUE, DetectionDataset, normalise
from rnnpool.errors import InputError

# None is exact area averaging.
SHRINK_FILTERS = {"area": None, "hamming": Image.Resampling.HAMMING, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class AugmentConfig:
    """How training samples are made; sizes of faces are in pixels of the crop that the network sees.

    Attributes:
        size: side of the square crops, in pixels.
        face_probability: share of the crops that are chosen so that a randomly picked face gets a drawn size.
        face_pixels: range of that size, log-uniform.
        max_zoom: the image is never enlarged by more than this.
        crop_scale: side of the other crops, relative to the image's shorter side.
        wide_probability, wide_scale: share of the other crops that show more than the shorter side, and their range.
        min_face: faces with a shorter side below this are ignored.
        flip: probability of mirroring left and right.
        mosaic: probability of a sample made of four images, each in a quarter.
        cutout: probability of one grey rectangle; faces of which it hides more than half are ignored.
        shrink_filters: drawn from with equal chances: area (averaging, as detection does), hamming, bilinear.
        photometric: distortion of the colours.
    """

    size: int = 256
    face_probability: float = 0.45
    face_pixels: tuple[float, float] = (7.0, 170.0)
    max_zoom: float = 4.0
    crop_scale: tuple[float, float] = (0.3, 1.0)
    wide_probability: float = 0.15
    wide_scale: tuple[float, float] = (1.0, 1.6)
    min_face: float = 4.0
    flip: float = 0.5
    mosaic: float = 0.0
    cutout: float = 0.0
    shrink_filters: tuple[str, ...] = ("area",)
    photometric: PhotometricConfig = field(default_factory=PhotometricConfig)

    def __post_init__(self) -> None:
        for name in ("face_probability", "wide_probability", "flip", "mosaic", "cutout"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise InputError(f"augment.{name} is {value}; a probability is 0..1")
        for name in ("face_pixels", "crop_scale", "wide_scale"):
            low, high = getattr(self, name)
            if not 0.0 < low <= high:
                raise InputError(f"augment.{name} is ({low}, {high}); expected 0 < low <= high")
        if not self.max_zoom > 0.0:
            raise InputError(f"augment.max_zoom is {self.max_zoom}; expected a number above 0")
        if self.size < 32 or self.size % 2:
            raise InputError(f"augment.size is {self.size}; expected an even number from 32 up")
        unknown = set(self.shrink_filters) - set(SHRINK_FILTERS)
        if unknown or not self.shrink_filters:
            raise InputError(f"augment.shrink_filters is {self.shrink_filters}; may hold {', '.join(SHRINK_FILTERS)}")


# One crop: uint8 (S, S, C), faces (n, 4), regions to ignore (m, 4).
_Crop = tuple[np.ndarray, np.ndarray, np.ndarray]


class TrainingSamples(Dataset[tuple[Tensor, dict[str, Tensor]]]):
    """Augmented samples: ``self[i]`` is (image float32 (C, S, S) in (v - 128) / 128, target), the same for the same
    (seed, epoch, i).

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
        self.config = config
        self.seed = seed
        self.extra = extra
        self._extra_length = round(len(source) * extra_share / (1.0 - extra_share)) if extra is not None else 0
        # In shared memory, so that worker processes that live for several epochs see it change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.source) + self._extra_length

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose samples are made; call it before iterating over a loader."""
        self._epoch.fill_(epoch)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng((self.seed, int(self._epoch), index))
        config = self.config
        is_mosaic = rng.random() < config.mosaic
        pixels, boxes, ignore = self._mosaic(index, rng) if is_mosaic else self._crop(index, config.size, rng)
        if rng.random() < config.flip:
            pixels = pixels[:, ::-1]
            boxes, ignore = flip_boxes(boxes, config.size), flip_boxes(ignore, config.size)
        values = distort(pixels, config.photometric, rng)
        if rng.random() < config.cutout:
            boxes, ignore = _cut_out(values, boxes, ignore, rng)
        image = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
        return normalise(image), {"boxes": torch.from_numpy(boxes.copy()), "ignore": torch.from_numpy(ignore.copy())}

    def path(self, index: int, epoch: int) -> Path:
        """The image file that sample ``index`` of ``epoch`` is made of (of a mosaic: its first quarter's)."""
        dataset, number = self._origin(index, epoch)
        return dataset.annotations[number].path

    def _origin(self, index: int, epoch: int) -> tuple[DetectionDataset, int]:
        """Set and number of a sample's image: those of ``source`` in order, beyond them random ones of ``extra``."""
        if self.extra is None or index < len(self.source):
            return self.source, index
        rng = np.random.default_rng((self.seed, epoch, index, 1))  # apart from the stream that augments the sample
        return self.extra, int(rng.integers(len(self.extra)))

    def _crop(self, index: int, size: int, rng: np.random.Generator) -> _Crop:
        config = self.config
        dataset, number = self._origin(index, int(self._epoch))
        sample = dataset[number]
        pixels = sample.image.permute(1, 2, 0).numpy()  # (C, H, W) -> (H, W, C), no copy
        height, width = pixels.shape[:2]
        boxes = sample.boxes.numpy()
        if len(boxes) and rng.random() < config.face_probability:
            face = boxes[rng.integers(len(boxes))]
            window = face_window(rng, face, width, height, size, config.face_pixels, config.max_zoom)
        else:
            is_wide = rng.random() < config.wide_probability
            scale = config.wide_scale if is_wide else config.crop_scale
            window = random_window(rng, width, height, scale, min_side=size / config.max_zoom)
        shrink_filter = SHRINK_FILTERS[config.shrink_filters[rng.integers(len(config.shrink_filters))]]
        faces, ignore = assign_faces(
            window.to_output(boxes, size), window.to_output(sample.ignore.numpy(), size), size, config.min_face
        )
        return crop_and_resize(pixels, window, size, shrink_filter), faces, ignore

    def _mosaic(self, index: int, rng: np.random.Generator) -> _Crop:
        """Four crops of half the size, of this image and three random ones (Bochkovskiy et al., YOLOv4, 2020)."""
        half = self.config.size // 2
        indices = [index, *rng.integers(len(self), size=3)]
        crops = [self._crop(int(i), half, rng) for i in indices]
        top, bottom = (np.concatenate([a[0], b[0]], axis=1) for a, b in (crops[:2], crops[2:]))
        shifts = np.array([[0, 0, 0, 0], [half, 0, half, 0], [0, half, 0, half], [half, half, half, half]], np.float32)
        return (
            np.concatenate([top, bottom]),
            np.concatenate([crop[1] + shift for crop, shift in zip(crops, shifts, strict=True)]),
            np.concatenate([crop[2] + shift for crop, shift in zip(crops, shifts, strict=True)]),
        )


def _cut_out(
    values: np.ndarray, boxes: np.ndarray, ignore: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Grey out one rectangle of a tenth to a third of the sides, in place (DeVries and Taylor, Cutout, 2017).

    Faces of which more than half is hidden move from ``boxes`` to ``ignore``.
    """
    size = values.shape[0]
    width, height = rng.integers(size // 10, size // 3, size=2)
    x, y = rng.integers(size - width), rng.integers(size - height)
    values[y : y + height, x : x + width] = PAD_VALUE
    overlap = np.minimum(boxes[:, 2:], [x + width, y + height]) - np.maximum(boxes[:, :2], [x, y])
    hidden = overlap.clip(min=0).prod(axis=1) > 0.5 * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return boxes[~hidden], np.concatenate([ignore, boxes[hidden]])
