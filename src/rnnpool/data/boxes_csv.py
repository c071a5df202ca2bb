"""Images with scored boxes from a CSV table, for instance those that another detector found (pseudo-labels).

Columns ``path,x,y,w,h,score``: path relative to a root folder; x, y (top left), w, h relative to the image's sides
(0..1); one row a box. A row whose five numbers are empty says that the image has no box at all.

Sure boxes (score >= ``positive``) are faces, unsure ones regions to ignore, and images without any are negatives.
"""

import csv
from collections.abc import Collection
from pathlib import Path

import numpy as np

from rnnpool.data.pixel_cache import open_pixels
from rnnpool.data.samples import Annotation, DetectionDataset
from rnnpool.errors import InputError
from rnnpool.files import open_table

COLUMNS = ("path", "x", "y", "w", "h", "score")

# The table is rounded to four decimals, so that x + w may pass 1 by a hair.
_ROUNDING = 1e-3


class BoxesCsv(DetectionDataset):
    """The images of a table of scored boxes as :class:`~rnnpool.data.samples.Sample`.

    Args:
        csv_path: the table.
        root: folder that its paths are relative to.
        prefix: only images whose path begins so, such as ``"imagenette/train/"``.
        positive: boxes with this score or more are faces, the others are regions to ignore.
        unsure_folders: in images of folders of these names every box is a region to ignore, whatever its score
            (dogs pass for faces in ``"english_springer"``).
        channels: 1 (grey) or 3 (RGB).
        cache: folder for decoded pixels, or None.

    Raises:
        InputError: the table or an image is missing, a row is malformed (file and line are named), or no image is left.
    """

    def __init__(
        self,
        csv_path: str | Path,
        root: str | Path,
        *,
        prefix: str = "",
        positive: float = 0.75,
        unsure_folders: Collection[str] = (),
        channels: int = 3,
        cache: str | Path | None = None,
    ):
        root = Path(root)
        table = {name: rows for name, rows in read_boxes(csv_path).items() if name.startswith(prefix)}
        if not table:
            raise InputError(f"{csv_path}: no image whose path begins with {prefix!r}")
        paths = [root / name for name in table]
        for path in paths:
            if not path.is_file():
                raise InputError(f"{csv_path}: image {path} is missing")
        pixels = open_pixels(paths, channels=channels, cache=cache, root=root)
        annotations = []
        for i, (path, rows) in enumerate(zip(paths, table.values(), strict=True)):
            sure = (rows[:, 4] >= positive) & (path.parent.name not in unsure_folders)
            boxes = _to_pixels(rows[:, :4], *pixels.size(i))
            annotations.append(Annotation(path, boxes[sure], boxes[~sure]))
        super().__init__(pixels, annotations)


def read_boxes(csv_path: str | Path) -> dict[str, np.ndarray]:
    """The table as path -> float64 (n, 5): x, y, w, h relative to the image, score; (0, 5) for an image without."""
    rows: dict[str, list[list[float]]] = {}
    with open_table(Path(csv_path)) as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            raise InputError(f"{csv_path}:1: columns {','.join(header)}; expected {','.join(COLUMNS)}")
        for name, *fields in filter(None, reader):  # a blank line is no row
            boxes = rows.setdefault(name, [])
            if any(fields):
                boxes.append(_numbers(fields, f"{csv_path}:{reader.line_num}"))
    return {name: np.array(boxes, dtype=np.float64).reshape(-1, 5) for name, boxes in rows.items()}


def _numbers(fields: list[str], where: str) -> list[float]:
    try:
        x, y, w, h, score = numbers = [float(field) for field in fields]
    except ValueError as error:
        raise InputError(f"{where}: {','.join(fields)}; expected five numbers: x,y,w,h,score") from error
    # One comparison each: min and max pass over NaN, comparisons refuse it.
    is_inside = x >= 0 and y >= 0 and x + w <= 1 + _ROUNDING and y + h <= 1 + _ROUNDING
    if not (is_inside and w > 0 and h > 0 and 0 <= score <= 1):
        raise InputError(
            f"{where}: {','.join(fields)}; the box must have an area and lie inside its image, the score in 0..1"
        )
    return numbers


def _to_pixels(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Relative x y w h (n, 4) -> float32 x1 y1 x2 y2 in pixels, clipped to the image."""
    relative = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return (relative.clip(0.0, 1.0) * [width, height, width, height]).astype(np.float32)
