"""Shrinking by area averaging, exactly: a pixel of the result is the mean over the part of the image that it covers.

Pillow's BOX filter is that for whole factors only. Otherwise it takes a source pixel wholly or not at all, by where its
centre lies, so that at a factor of 1.3 most results are copies of one pixel and some are means of two.
"""

import numpy as np

# An edge that misses the border of a pixel by less is on it: the rest is rounding.
_SNAP = 1e-9


def area_resize(pixels: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]) -> np.ndarray:
    """Shrink a part of an image.

    Args:
        pixels: uint8 (H, W, C).
        size: (width, height) of the result.
        box: left, top, right, bottom of the part in pixels, 0 <= left < right <= W, 0 <= top < bottom <= H. Along a
            side where the result has more pixels than the part, they are repeated and mixed at their borders.

    Returns:
        uint8 (height, width, C), rounded.
    """
    left, top, right, bottom = box
    rows = _average_rows(pixels, top, bottom, size[1])  # (height, W, C)
    columns = _average_rows(np.ascontiguousarray(rows.swapaxes(0, 1)), left, right, size[0])  # (width, height, C)
    return np.rint(columns).astype(np.uint8).swapaxes(0, 1)


def _average_rows(values: np.ndarray, start: float, stop: float, count: int) -> np.ndarray:
    """Means of ``count`` equal intervals of [start, stop) along the first axis of (n, ...) -> float32 (count, ...).

    An interval reaches over a few rows, each of them wholly or in part. The sum goes over the first row of every
    interval, then over the second of every interval, and so on: few operations on large arrays.
    """
    edges = start + (stop - start) / count * np.arange(count + 1)  # (count + 1,)
    begin, end = edges[:-1, None], edges[1:, None]  # (count, 1)
    first = np.floor(begin + _SNAP).astype(np.int64)
    most = int(np.ceil(end - _SNAP - first).max())
    row = first + np.arange(most)  # (count, most), the rows that an interval reaches over
    covered = (np.minimum(row + 1, end) - np.maximum(row, begin)).clip(min=0.0)
    weight = (covered / (end - begin)).astype(np.float32)
    row = row.clip(0, len(values) - 1)  # beyond the last row the weight is 0

    shape = (count,) + (1,) * (values.ndim - 1)
    total = values[row[:, 0]] * weight[:, 0].reshape(shape)
    term = np.empty_like(total)
    for k in range(1, most):
        total += np.multiply(values[row[:, k]], weight[:, k].reshape(shape), out=term)
    return total
