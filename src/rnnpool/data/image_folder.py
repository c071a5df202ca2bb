"""Pictures in one folder a class: torchvision's ImageFolder layout, with a split or without.

    ROOT/train/CLASS/*.jpg, ROOT/val/CLASS/*.jpg    two parts; their names are parameters
    ROOT/CLASS/*.jpg                                one part, split by a seed into the two

A folder counts as a class if there is an image in it, at any depth. What is hidden does not count: files and folders
whose names begin with a dot (.ipynb_checkpoints and the like would be a class of its own).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnnpool.data.labelled import LabelledImages
from rnnpool.data.pixel_cache import open_pixels
from rnnpool.errors import InputError
from rnnpool.images import IMAGE_SUFFIXES


def class_names(folder: Path) -> tuple[str, ...]:
    """The classes of a folder, sorted; InputError if it has none."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    folders = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    names = tuple(sorted(path.name for path in folders if _has_image(path)))
    if not names:
        raise InputError(f"{folder}: no folder in it holds an image; expected {folder}/CLASS/NAME.jpg (.png, .webp...)")
    return names


def image_folder(
    root: Path,
    part: str,
    *,
    classes: Sequence[str] | None = None,
    channels: int = 3,
    cache: Path | None = None,
    least_side: int | None = None,
) -> LabelledImages:
    """The images of ``root/part`` (``part`` "." is ``root`` itself).

    Args:
        classes: the classes in their order; None takes those that are there, sorted. Some may be absent.
        channels: 1 (grey) or 3 (RGB).
        cache, least_side: see ``open_pixels``.

    Raises:
        InputError: no such folder, no image, or a class that is not among ``classes``.
    """
    folder = root / part
    found = class_names(folder)
    known = tuple(classes) if classes is not None else found
    unknown = [name for name in found if name not in known]
    if unknown:
        raise InputError(f"{folder}: class {unknown[0]!r} is none of the {len(known)} known: {', '.join(known[:20])}")
    paths = [path for name in found for path in _images(folder / name)]
    number = {name: index for index, name in enumerate(known)}
    labels = [number[path.relative_to(folder).parts[0]] for path in paths]
    pixels = open_pixels(paths, channels=channels, cache=cache, root=root, least_side=least_side)
    names = [path.relative_to(root).as_posix() for path in paths]
    return LabelledImages(pixels, names, known, np.array(labels, dtype=np.int64))


def split_by_seed(images: LabelledImages, share: float, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """Two parts, the second with ``share`` of every class (at least one image, and at least one left).

    An image's name decides, not its place: the same are drawn from a folder and from shards of it, and a few images
    more or less change the part of few others.

    Raises:
        InputError: a share that leaves nothing, or a class of one image.
    """
    if not 0.0 < share < 1.0:
        raise InputError(f"val_share is {share}; the share that validates must be above 0 and below 1")
    if seed < 0:
        raise InputError(f"split_seed is {seed}; it must be 0 or more")
    first, second = [], []
    for label, name in enumerate(images.classes):
        members = np.flatnonzero(images.targets == label)
        if len(members) < 2:
            raise InputError(f"class {name!r} has {len(members)} image(s); to train and to validate it takes 2 or more")
        order = members[np.argsort([_draw(images.names[int(index)], seed) for index in members])]
        count = min(max(1, round(share * len(members))), len(members) - 1)
        second.append(order[:count])
        first.append(order[count:])
    return images.take(np.sort(np.concatenate(first))), images.take(np.sort(np.concatenate(second)))


def _draw(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode()).digest()


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if _is_image(path.relative_to(folder)))


def _has_image(folder: Path) -> bool:
    return any(_is_image(path.relative_to(folder)) for path in folder.rglob("*"))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(part.startswith(".") for part in path.parts)
