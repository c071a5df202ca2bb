"""Visual Wake Words from COCO: is there a person in the picture?

Chowdhery, Warden, Shlens, Howard, Rhodes, "Visual Wake Words Dataset", 2019 (arXiv:1906.05721): an image is positive
if a person in it takes up more than 0.5% of its area (the annotation's own ``area``; a crowd counts like a person), and
the "minival" ids of COCO 2014 validate while the rest of train and val trains.
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnpool.errors import InputError

PARTS = ("train", "val")
CLASSES = ("no_person", "person")
AREA = 0.005


def read_ids(path: Path) -> frozenset[int]:
    """Image ids, one a line."""
    try:
        return frozenset(int(line) for line in path.read_text(encoding="utf-8").split())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a list of image ids, one a line ({error})") from error


def label_images(
    annotations: dict[str, Any], *, area: float = AREA, category: str = "person"
) -> dict[str, tuple[int, bool]]:
    """Of COCO's instance annotations: file name -> (image id, whether an object of ``category`` is large enough).

    Raises:
        InputError: no such category, an object in an image that is not listed, or a file name listed twice.
    """
    wanted = {entry["id"] for entry in annotations["categories"] if entry["name"] == category}
    if not wanted:
        raise InputError(f"the annotations have no category {category!r}")
    pixels = {image["id"]: image["width"] * image["height"] for image in annotations["images"]}
    positive = set()
    for entry in annotations["annotations"]:
        image = entry["image_id"]
        if image not in pixels:
            raise InputError(f"annotation {entry.get('id', '(no id)')} is of image {image}, which is not listed")
        if entry["category_id"] in wanted and entry["area"] > area * pixels[image]:
            positive.add(image)
    labels: dict[str, tuple[int, bool]] = {}
    for image in annotations["images"]:
        if image["file_name"] in labels:
            raise InputError(f"image {image['file_name']} is listed twice")
        labels[image["file_name"]] = (image["id"], image["id"] in positive)
    return labels


def build_vww(
    annotation_files: Sequence[Path],
    image_folders: Sequence[Path],
    out: Path,
    *,
    minival: frozenset[int] | None = None,
    area: float = AREA,
) -> Counter[tuple[str, str]]:
    """Link the images into ``out/{train,val}/{no_person,person}/``, which trains like any folder of classes.

    Links of an earlier call, with other settings or to images that have moved since, are made anew.

    Args:
        annotation_files: COCO's instances_*.json.
        image_folders: where the images are; each is looked for in all of them.
        minival: ids that validate; None takes the images of the last annotation file.
        area: share of the image that a person must exceed.

    Returns:
        The number of images by (part, class).

    Raises:
        InputError: a file that is missing or is none of COCO's, an image that is listed twice or in none of the
            folders, an id of ``minival`` that no file lists, a class without images to train on,
            or no image that validates. The links that were made stay.
    """
    counts: Counter[tuple[str, str]] = Counter()
    listed: dict[str, str] = {}
    unseen = set(minival or ())
    for number, path in enumerate(annotation_files):
        try:
            labels = label_images(_read(path), area=area)
        except (KeyError, TypeError) as error:
            raise InputError(f"{path}: none of COCO's instances_*.json, of an entry: {error!r}") from error
        for name, (identity, positive) in labels.items():
            unseen.discard(identity)
            validates = identity in minival if minival is not None else number == len(annotation_files) - 1
            part, label = "val" if validates else "train", CLASSES[positive]
            source = next((folder / name for folder in image_folders if (folder / name).is_file()), None)
            if source is None:
                raise InputError(f"{path}: image {name} is in none of {', '.join(map(str, image_folders))}")
            link = name.lstrip("./").replace("/", "__")  # flat, and visible: hidden files are no images to training
            if link in listed:
                raise InputError(f"{path}: image {name} would be {link}, which {listed[link]} is; list an image once")
            listed[link] = f"{name} of {path}"
            _link(source, out, part, label, link)
            counts[part, label] += 1
    if unseen:
        some = ", ".join(map(str, sorted(unseen)[:3]))
        raise InputError(f"{len(unseen)} of {len(minival or ())} minival ids are in no annotation file ({some}, ...)")
    how = "no minival is given: the last annotation file validates" if minival is None else "by the minival"
    for label in CLASSES:
        if not counts["train", label]:
            raise InputError(f"{out}: train has no image of class {label!r} ({how})")
    if not any(counts["val", label] for label in CLASSES):
        raise InputError(f"{out}: val has no image ({how})")
    return counts


def _link(source: Path, out: Path, part: str, label: str, name: str) -> None:
    """Link ``source`` as ``name`` into ``out/part/label``, and into none of the other three folders."""
    for folder in (out / a / b for a in PARTS for b in CLASSES):
        target = folder / name
        if target.is_symlink():
            target.unlink()
        if folder == out / part / label and not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            os.symlink(source.resolve(), target)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as COCO's annotations ({error})") from error
    missing = {"images", "annotations", "categories"} - set(content if isinstance(content, dict) else ())
    if missing:
        raise InputError(f"{path}: none of COCO's instances_*.json, it lacks {', '.join(sorted(missing))}")
    return content
