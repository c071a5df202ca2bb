"""Geometry of a training sample: square crops of an image resized to the network's input, and their boxes.

A crop is a square window, in pixels of the image, that may reach beyond it; what lies beyond is grey. Faces follow
S3FD (S. Zhang et al., "S3FD: Single Shot Scale-invariant Face Detector", ICCV 2017, section 3.4): a face belongs to
the crop where its centre lies in it. One whose centre is cut off is still partly visible, so that its region is
ignored rather than taught as background.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from rnnpool.data.samples import PAD_VALUE
from rnnpool.resampling import area_resize


@dataclass(frozen=True)
class Window:
    """A square of ``side`` pixels with its top left corner at (``x``, ``y``), all in pixels of the image."""

    x: float
    y: float
    side: float

    def to_output(self, boxes: np.ndarray, size: int) -> np.ndarray:
        """Boxes (n, 4) x1 y1 x2 y2 in pixels of the image -> pixels of the crop resized to size x size; not clipped."""
        offset = np.array([self.x, self.y, self.x, self.y])
        return (boxes - offset) * (size / self.side)


def random_window(
    rng: np.random.Generator, width: int, height: int, scale: tuple[float, float], min_side: float
) -> Window:
    """A window of ``scale`` times the image's shorter side, anywhere in the image (a larger one: around it).

    Args:
        scale: range that the factor is drawn from, uniformly.
        min_side: smallest side of the window, in pixels of the image.
    """
    side = max(min(width, height) * rng.uniform(*scale), min_side)
    return Window(_place(rng, side, width), _place(rng, side, height), side)


def face_window(
    rng: np.random.Generator,
    face: np.ndarray,
    width: int,
    height: int,
    size: int,
    face_pixels: tuple[float, float],
    max_zoom: float,
) -> Window:
    """A window in which ``face`` gets a size drawn log-uniformly from ``face_pixels``, at a random place.

    Args:
        face: (4,) x1 y1 x2 y2 in pixels of the image; its longer side is its size.
        size: side in pixels that the crop is resized to.
        face_pixels: smallest and largest size of the face after resizing.
        max_zoom: the image is not enlarged by more than this factor, nor shrunk so far that its longer side takes less
            than half the crop; the drawn size stays within what these allow.
    """
    face_size = max(face[2] - face[0], face[3] - face[1], 1.0)
    smallest, largest = face_size * 0.5 * size / max(width, height), face_size * max_zoom
    low, high = (min(max(v, smallest), largest) for v in face_pixels)
    side = face_size * size / np.exp(rng.uniform(np.log(low), np.log(high)))
    x = _place(rng, side, width, (face[0], face[2]))
    y = _place(rng, side, height, (face[1], face[3]))
    return Window(x, y, side)


def _place(rng: np.random.Generator, side: float, length: int, keep: tuple[float, float] | None = None) -> float:
    """Where a window of ``side`` starts along one axis of ``length`` pixels.

    Uniform over the starts that keep the window inside the image (or the image inside the window), and of these, where
    ``keep`` = (start, end) is given, over those that keep this interval inside the window (or the window inside it).
    """
    low, high = sorted((0.0, length - side))
    if keep is not None:
        inner_low, inner_high = sorted((keep[1] - side, keep[0]))
        # The two ranges meet wherever the interval lies in the image; rounding may leave them a hair apart.
        low, high = max(low, inner_low), min(high, inner_high)
        high = max(low, high)
    return float(rng.uniform(low, high))


def crop_and_resize(
    pixels: np.ndarray, window: Window, size: int, shrink_filter: Image.Resampling | None = None
) -> np.ndarray:
    """The window of an image, resized to (size, size, C).

    Shrinking averages areas, or uses ``shrink_filter``; enlarging is bilinear. Pixels beyond the image, and those that
    the image covers only in part, are ``PAD_VALUE``.

    Args:
        pixels: uint8 (H, W, C), C = 1 or 3.
    """
    height, width, channels = pixels.shape
    scale = window.side / size  # pixels of the image per pixel of the output
    x0, x1 = _covered(window.x, scale, width, size)
    y0, y1 = _covered(window.y, scale, height, size)
    output = np.full((size, size, channels), PAD_VALUE, dtype=np.uint8)
    if x0 >= x1 or y0 >= y1:
        return output
    left, right = _source(x0, x1, window.x, scale, width)
    top, bottom = _source(y0, y1, window.y, scale, height)
    # Only this part of a mapped file is read. Its margin lets the filters look over the edge of the window.
    margin = int(np.ceil(max(scale, 1)))
    first_x, first_y = max(int(left) - margin, 0), max(int(top) - margin, 0)
    part = pixels[first_y : int(bottom) + margin + 1, first_x : int(right) + margin + 1]
    box = left - first_x, top - first_y, right - first_x, bottom - first_y
    if scale > 1 and shrink_filter is None:
        output[y0:y1, x0:x1] = area_resize(part, (x1 - x0, y1 - y0), box)
        return output
    image = Image.fromarray(np.ascontiguousarray(part[..., 0] if channels == 1 else part))
    resize_filter = shrink_filter if scale > 1 else Image.Resampling.BILINEAR
    resized = image.resize((x1 - x0, y1 - y0), resize_filter, box=box)
    output[y0:y1, x0:x1] = np.asarray(resized).reshape(y1 - y0, x1 - x0, channels)
    return output


def _covered(start: float, scale: float, length: int, size: int) -> tuple[int, int]:
    """First and last + 1 of the output pixels along one axis that lie wholly inside the image."""
    tolerance = 1e-6
    first = max(int(np.ceil(-start / scale - tolerance)), 0)
    last = min(int(np.floor((length - start) / scale + tolerance)), size)
    return first, last


def _source(first: int, last: int, start: float, scale: float, length: int) -> tuple[float, float]:
    """The interval of the image that output pixels [first, last) cover, clipped to the image against rounding."""
    return max(start + first * scale, 0.0), min(start + last * scale, float(length))


def assign_faces(boxes: np.ndarray, ignore: np.ndarray, size: int, min_face: float) -> tuple[np.ndarray, np.ndarray]:
    """Sort boxes in output pixels into faces to learn and regions to ignore, clipped to the size x size output.

    A face is learnt where its centre lies in the output and both its sides, clipped, have at least ``min_face``
    pixels. Every other face that is still visible joins the regions to ignore; invisible ones are dropped.

    Args:
        boxes, ignore: (n, 4) and (m, 4), x1 y1 x2 y2 in output pixels, not clipped.

    Returns:
        (boxes, ignore), float32.
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    clipped = np.clip(boxes, 0, size)
    sides = clipped[:, 2:] - clipped[:, :2]
    learnt = ((centres >= 0) & (centres < size) & (sides >= min_face)).all(axis=1)
    regions = np.concatenate([clipped[~learnt], np.clip(ignore, 0, size)])
    visible = (regions[:, 2:] > regions[:, :2]).all(axis=1)
    return clipped[learnt].astype(np.float32), regions[visible].astype(np.float32)


def flip_boxes(boxes: np.ndarray, width: int) -> np.ndarray:
    """Boxes (n, 4) x1 y1 x2 y2 mirrored left to right in an image ``width`` pixels wide."""
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
