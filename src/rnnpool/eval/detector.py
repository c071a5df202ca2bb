"""A detector run over a set of images: what comes out is in pixels of the original images."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from rnnpool.data.pixel_cache import Pixels
from rnnpool.data.samples import normalise
from rnnpool.models.detector import Detector
from rnnpool.preprocess import pad_to_multiple, resize_to_area, resized_size

Progress = Callable[[int, int], None]  # called with (images done, images in all)

# Images per forward pass. More does not help a CPU, and a GPU is busy with this.
BATCH = 8


class Options(NamedTuple):
    """How detections are selected.

    The score threshold is low because average precision is about all operating points. Measured on WIDER FACE's val
    split with a half-trained face-tiny, medium: 0.484 at a threshold of 0.05, 0.492 at 0.02, 0.495 at 0.01, 0.496 at
    0.005.
    """

    score_threshold: float = 0.01
    iou_threshold: float | None = None  # None: the head's own
    max_detections: int = 750


def detect_all(
    model: Detector,
    pixels: Pixels,
    indices: Sequence[int],
    *,
    area: int,
    options: Options | None = None,
    progress: Progress | None = None,
) -> list[np.ndarray]:
    """Detections of the images ``indices``, each float64 (n, 5): x y w h score, best first, clipped to the image.

    Every image is resized to ``area`` pixels (aspect kept, area averaging), and padded with grey at the right and the
    bottom to multiples of the largest stride. Images of one padded size share forward passes.
    """
    options = options or Options()
    multiple = max(model.head.strides)
    device = model.device
    results: dict[int, np.ndarray] = {}
    for batch in _batches(pixels, indices, area, multiple):
        images = [resize_to_area(pixels[i], (1, area)) for i in batch]  # of the input's size only the product counts
        padded = np.stack([pad_to_multiple(image, multiple) for image in images])  # (B, H, W, C)
        inputs = normalise(torch.from_numpy(padded).permute(0, 3, 1, 2)).to(device)
        found = model.predict(inputs, **options._asdict())
        for i, image, detections in zip(batch, images, found, strict=True):
            boxes = to_original(detections.boxes.double().cpu().numpy(), image.shape, pixels.size(i))
            rows = np.column_stack([boxes, detections.scores.double().cpu().numpy()])
            results[i] = rows[(rows[:, 2:4] > 0).all(axis=1)]  # what lies in the grey padding alone is no detection
        if progress is not None:
            progress(len(results), len(indices))
    return [results[i] for i in indices]


def to_original(boxes: np.ndarray, resized: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """Boxes (n, 4) x1 y1 x2 y2 of the resized image (h, w, ...) -> x y w h in an image of ``size`` (W, H), clipped."""
    (height, width), (original_width, original_height) = resized[:2], size
    scale = np.array([original_width / width, original_height / height] * 2)
    corners = np.clip(boxes * scale, 0.0, [original_width, original_height] * 2)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _batches(pixels: Pixels, indices: Sequence[int], area: int, multiple: int) -> Iterable[list[int]]:
    """Images of equal padded size together, at most ``BATCH`` at once."""
    groups: dict[tuple[int, int], list[int]] = {}
    for i in indices:
        width, height = resized_size(*pixels.size(i), (1, area))
        groups.setdefault((-(-width // multiple), -(-height // multiple)), []).append(i)
    for group in groups.values():
        for first in range(0, len(group), BATCH):
            yield group[first : first + BATCH]
