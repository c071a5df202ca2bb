"""WIDER FACE in its standard layout (S. Yang, P. Luo, C. C. Loy, X. Tang, CVPR 2016).

    ROOT/WIDER_{train,val}/images/EVENT/NAME.jpg (or .webp, .png, ...)
    ROOT/wider_face_split/wider_face_{train,val}_bbx_gt.txt

The text file repeats: image name, number of faces, one row per face ``x y w h blur expression illumination invalid
occlusion pose`` in pixels. An image without faces is followed, in the official file, by one row of zeros.

Faces marked invalid, and boxes without area (both occur in the official set), become regions to ignore: a detector
is neither rewarded nor punished there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnnpool.data.pixel_cache import open_pixels
from rnnpool.data.samples import Annotation, DetectionDataset
from rnnpool.errors import InputError
from rnnpool.files import read_lines
from rnnpool.images import find_image

SPLITS = ("train", "val")

# Boxes are rounded to integers, x and w separately, so that x + w may pass the border by a pixel or two.
ROUNDING_PIXELS = 2

_COLUMNS = 10
_INVALID = 7  # column of the flag


@dataclass(frozen=True)
class WiderEntry:
    """One image of the text file: ``rows`` is int64 (n, 10) as written there; ``line`` is that of the first row."""

    name: str
    rows: np.ndarray
    line: int


class WiderFace(DetectionDataset):
    """WIDER FACE, ``split`` "train" or "val"; images as :class:`~rnnpool.data.samples.Sample`.

    Args:
        root: the folder that holds ``WIDER_train``, ``WIDER_val`` and ``wider_face_split``.
        split: "train" or "val".
        channels: 1 (grey) or 3 (RGB).
        cache: folder for decoded pixels, or None.

    Raises:
        InputError: a folder, an image or the text file is missing; a line is malformed (file and line are named); a
            valid face passes the border of its image by more than ``ROUNDING_PIXELS``.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        channels: int = 3,
        cache: str | Path | None = None,
    ):
        if split not in SPLITS:
            raise InputError(f"split is {split!r}; WIDER FACE has {' and '.join(SPLITS)}")
        self.root = Path(root)
        self.split = split
        text_path = self.root / "wider_face_split" / f"wider_face_{split}_bbx_gt.txt"
        images = self.root / f"WIDER_{split}" / "images"
        if not text_path.is_file():
            raise InputError(f"{text_path}: no such file; expected WIDER FACE's annotations under {self.root}")
        entries = list(read_annotations(text_path))
        paths = [find_image(images / e.name, f"{text_path}:{e.line - 2}") for e in entries]
        pixels = open_pixels(paths, channels=channels, cache=cache, root=self.root)
        super().__init__(pixels, [_annotation(e, paths[i], pixels.size(i), text_path) for i, e in enumerate(entries)])

    def name(self, index: int) -> str:
        """``EVENT/NAME`` without the suffix: the key of the ground truth and of submission files."""
        path = self.annotations[index].path
        return f"{path.parent.name}/{path.stem}"


def read_annotations(path: Path) -> Iterator[WiderEntry]:
    """Parse a ``*_bbx_gt.txt`` file; malformed lines raise an InputError that names file and line."""
    lines = read_lines(path)
    at = 0
    while at < len(lines):
        name = lines[at].strip()
        if all(field.lstrip("-").isdecimal() for field in name.split()):  # empty, a count, or a box
            raise InputError(f"{path}:{at + 1}: {name!r}; expected the name of an image")
        count = _face_count(lines, at + 1, path)
        first = at + 2
        if first + count > len(lines):
            raise InputError(f"{path}:{at + 2}: {name} announces {count} faces; the file ends after {len(lines)} lines")
        rows = [_face_row(lines[i], i, path) for i in range(first, first + count)]
        at = first + count
        # The official file writes one row of zeros below an image of 0 faces.
        if count == 0 and at < len(lines) and lines[at].split() == ["0"] * _COLUMNS:
            at += 1
        yield WiderEntry(name, np.array(rows, dtype=np.int64).reshape(-1, _COLUMNS), first + 1)


def _face_count(lines: list[str], at: int, path: Path) -> int:
    text = lines[at].strip() if at < len(lines) else ""
    if not text.isdecimal():
        raise InputError(f"{path}:{at + 1}: {text!r}; expected the number of faces of {lines[at - 1].strip()}")
    return int(text)


def _face_row(line: str, at: int, path: Path) -> list[int]:
    try:
        row = [int(field) for field in line.split()]
    except ValueError:
        row = []
    if len(row) != _COLUMNS:
        raise InputError(
            f"{path}:{at + 1}: {line.strip()!r}; expected {_COLUMNS} integers: "
            "x y w h blur expression illumination invalid occlusion pose"
        )
    return row


def _annotation(entry: WiderEntry, path: Path, size: tuple[int, int], text_path: Path) -> Annotation:
    width, height = size
    x, y, w, h = entry.rows[:, :4].T
    boxes = np.stack([x, y, x + w, y + h], axis=1).astype(np.float32)  # (n, 4)
    is_face = (entry.rows[:, _INVALID] == 0) & (w > 0) & (h > 0)

    overshoot = np.max([-boxes[:, 0], -boxes[:, 1], boxes[:, 2] - width, boxes[:, 3] - height], axis=0, initial=0)
    for i in np.flatnonzero(is_face & (overshoot > ROUNDING_PIXELS)):
        raise InputError(
            f"{text_path}:{entry.line + i}: face x={x[i]} y={y[i]} w={w[i]} h={h[i]} lies outside its image, "
            f"{path.name} of {width}x{height} pixels; boxes must lie inside it (mark the face invalid to ignore it)"
        )
    np.clip(boxes, 0, [width, height, width, height], out=boxes)
    is_face &= (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # rounding may put a face of a pixel beside its image
    return Annotation(path, boxes[is_face], boxes[~is_face])
