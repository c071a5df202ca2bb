"""SCUT-HEAD (D. Peng et al., "Detecting Heads using Feature Refine Net and Cascaded Multi-scale Architecture", ICPR
2018) in its own layout, Pascal VOC:

    ROOT/Annotations/NAME.xml
    ROOT/JPEGImages/NAME.jpg

with one ``object`` a head, its box as the corners ``xmin ymin xmax ymax`` in pixels. ``ROOT/SCUT_HEAD_Part_B``, as the
archive unpacks, is found too. Part B, 2,405 pictures from the web, is what RNNPool (NeurIPS 2020) trains and tests on:
80 % and 20 % of its images. Which ones is not said; here a seed draws them.

Objects marked difficult become regions to ignore.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from xml.parsers.expat import ExpatError

import numpy as np

from rnnpool.data.pixel_cache import open_pixels
from rnnpool.data.samples import Annotation, DetectionDataset
from rnnpool.errors import InputError
from rnnpool.images import find_image

SPLITS = ("train", "val")
TRAIN_SHARE = 0.8

# Corners may be counted from 0 or from 1, with the last pixel in the box or beyond it.
COUNTING_PIXELS = 2

_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class ScutHead(DetectionDataset):
    """SCUT-HEAD, ``split`` "train" or "val"; images as :class:`~rnnpool.data.samples.Sample`, sorted by name.

    Args:
        root: the folder that holds ``Annotations`` and ``JPEGImages``, or ``SCUT_HEAD_Part_B`` with these.
        split: "train" (80 % of the images) or "val" (the others).
        split_seed: draws the split.
        channels: 1 (grey) or 3 (RGB).
        cache: folder for decoded pixels, or None.

    Raises:
        InputError: a folder or an image is missing; an annotation is malformed (the file is named, and the line or the
            object); a box is empty or passes the border of its image by more than ``COUNTING_PIXELS``.
    """

    def __init__(
        self,
        root: str | Path,
        split: str,
        *,
        split_seed: int = 0,
        channels: int = 3,
        cache: str | Path | None = None,
    ):
        if split not in SPLITS:
            raise InputError(f"split is {split!r}; SCUT-HEAD is split into {' and '.join(SPLITS)}")
        if split_seed < 0:
            raise InputError(f"split_seed is {split_seed}; it must be 0 or more")
        self.root = _find_root(Path(root))
        self.split = split
        names = sorted(path.stem for path in (self.root / "Annotations").glob("*.xml"))
        if len(names) < 2:
            raise InputError(f"{self.root}/Annotations: {len(names)} .xml files; a split needs 2 or more")
        self.names = split_names(names, split, split_seed)
        files = [self.root / "Annotations" / f"{name}.xml" for name in self.names]
        paths = [find_image(self.root / "JPEGImages" / f"{file.stem}.jpg", str(file)) for file in files]
        heads = [read_heads(file) for file in files]
        pixels = open_pixels(paths, channels=channels, cache=cache, root=self.root)
        super().__init__(
            pixels, [_annotation(*heads[i], paths[i], pixels.size(i), file) for i, file in enumerate(files)]
        )

    def name(self, index: int) -> str:
        """The name of the image without suffix."""
        return self.names[index]


def split_names(names: Sequence[str], split: str, seed: int) -> list[str]:
    """The names of one part, in their order; at least one name for each part."""
    order = np.random.default_rng(seed).permutation(len(names))
    train = min(max(round(TRAIN_SHARE * len(names)), 1), len(names) - 1)
    return [names[i] for i in sorted(order[:train] if split == "train" else order[train:])]


def read_heads(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """One annotation file -> float32 (n, 4) x1 y1 x2 y2 as written there, and bool (n,): marked difficult."""
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ExpatError, LookupError, ValueError) as error:  # the message holds line and column
        raise InputError(f"{path}: not XML ({error})") from error
    boxes, difficult = [], []
    for number, item in enumerate(root.findall("object"), 1):
        where = f"{path}: object {number}"
        box = item.find("bndbox")
        if box is None:
            raise InputError(f"{where} has no bndbox")
        boxes.append([_number(box, corner, where) for corner in _CORNERS])
        difficult.append((item.findtext("difficult") or "0").strip() not in ("", "0"))
    return np.array(boxes, dtype=np.float32).reshape(-1, 4), np.array(difficult, dtype=bool)


def _number(box: ElementTree.Element, corner: str, where: str) -> float:
    text = box.findtext(corner)
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{where}: {corner} is {text!r}; expected a number of pixels")
    return value


def _annotation(boxes: np.ndarray, difficult: np.ndarray, path: Path, size: tuple[int, int], file: Path) -> Annotation:
    for number, (x1, y1, x2, y2) in enumerate(boxes.tolist(), 1):
        where = f"{file}: object {number}: box {x1:g} {y1:g} {x2:g} {y2:g}"
        if not (x1 < x2 and y1 < y2):
            raise InputError(f"{where} is empty; expected xmin < xmax and ymin < ymax")
        if max(-x1, -y1, x2 - size[0], y2 - size[1]) > COUNTING_PIXELS or not (x1 < size[0] and y1 < size[1]):
            raise InputError(f"{where} lies outside its image, {path.name} of {size[0]}x{size[1]} pixels")
    clipped = boxes.clip(0, [*size, *size]).astype(np.float32)
    return Annotation(path, clipped[~difficult], clipped[difficult])


def _find_root(root: Path) -> Path:
    for folder in (root, root / "SCUT_HEAD_Part_B"):
        if (folder / "Annotations").is_dir() and (folder / "JPEGImages").is_dir():
            return folder
    raise InputError(f"{root}: no folders Annotations and JPEGImages (nor in SCUT_HEAD_Part_B below it)")
