"""Tables of a teacher's probabilities: images, or square crops of them, with how sure a model was of one class.

CSV with the columns ``path`` (below a root folder), one or more of probabilities, and, if wanted, ``crop_x``,
``crop_y``, ``crop_side`` in pixels of the file: the square that the probability is about. An image may have many rows.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rnnpool.data.labelled import LabelledImages
from rnnpool.data.pixel_cache import open_pixels
from rnnpool.errors import InputError
from rnnpool.files import open_table

_CROP = ("crop_x", "crop_y", "crop_side")


def soft_labels(
    tables: Sequence[Path],
    root: Path,
    *,
    prefixes: Sequence[str],
    columns: Mapping[str, float],
    classes: tuple[str, str],
    channels: int = 3,
    cache: Path | None = None,
) -> LabelledImages:
    """The rows of all tables whose path begins with one of ``prefixes``; targets float32 (N, 2).

    Args:
        columns: weight of each column's probability in the target; they are divided by their sum.
        classes: what a probability of 0 and one of 1 mean.
        cache: folder for decoded pixels, see ``open_pixels``.

    Raises:
        InputError: a table or an image is missing, a column is, a value is no probability, a crop is not in its image,
            or no row is left.
    """
    if not columns or min(columns.values()) < 0 or sum(columns.values()) <= 0:
        raise InputError(f"columns must have weights of 0 or more, at least one above 0: {dict(columns)}")
    rows = [row for table in tables for row in _rows(table, tuple(prefixes), columns)]
    if not rows:
        raise InputError(f"no path in {', '.join(map(str, tables))} begins with {' or '.join(prefixes)}")
    paths = sorted({path for path, _, _ in rows})
    for path in paths:
        if not (root / path).is_file():
            raise InputError(f"{root / path}: no such image, but a table of soft labels names it")
    number = {path: index for index, path in enumerate(paths)}
    files = [root / path for path in paths]
    pixels = open_pixels(files, channels=channels, cache=cache, root=root)
    images = np.array([number[path] for path, _, _ in rows])
    sizes = np.array([pixels.size(index) for index in range(len(paths))])[images]  # (N, 2) width, height
    windows = np.array([(*crop[:2], crop[2], crop[2]) if crop else (0, 0, 0, 0) for _, _, crop in rows], np.int64)
    whole = windows[:, 2] == 0
    windows[whole, 2:] = sizes[whole]
    outside = (windows[:, :2] < 0).any(1) | (windows[:, :2] + windows[:, 2:] > sizes).any(1) | (windows[:, 2] <= 0)
    if outside.any():
        path, _, crop = rows[int(outside.argmax())]
        raise InputError(f"{path}: crop {crop} (x, y, side) does not lie in the image")
    held = np.array([probability for _, probability, _ in rows], dtype=np.float32)
    names = [f"{path} {crop}" if crop else path for path, _, crop in rows]
    return LabelledImages(pixels, names, classes, np.stack([1 - held, held], axis=1), images, windows)


def image_names(images: LabelledImages) -> set[str]:
    """The paths of the images that the samples lie in."""
    return {re.sub(r" \(\d+, \d+, \d+\)$", "", name) for name in images.names}  # without the crop


def _rows(
    table: Path, prefixes: tuple[str, ...], columns: Mapping[str, float]
) -> list[tuple[str, float, tuple[int, int, int] | None]]:
    """(path, probability, crop) of a table's rows that count."""
    total, rows = sum(columns.values()), []
    with open_table(table) as file:
        reader = csv.DictReader(file)
        held_columns = reader.fieldnames or ()
        crop_columns = _CROP if set(_CROP) & set(held_columns) else ()
        for name in ("path", *columns, *crop_columns):
            if name not in held_columns:
                raise InputError(f"{table}: no column {name!r}; there are {', '.join(held_columns)}")
        for row in reader:
            if not (row["path"] or "").startswith(prefixes):  # None: the row ends before its path
                continue
            where = f"{table}, line {reader.line_num}"
            try:
                held = sum(weight * float(row[name]) for name, weight in columns.items()) / total
                crop = tuple(int(row[name]) for name in _CROP) if row.get("crop_side") else None
            except (TypeError, ValueError) as error:
                raise InputError(f"{where}: {error}") from error
            if not 0.0 <= held <= 1.0:
                raise InputError(f"{where}: {held} is no probability")
            assert crop is None or len(crop) == 3
            rows.append((row["path"], held, crop))
    return rows
