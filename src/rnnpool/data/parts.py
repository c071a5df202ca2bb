"""The parts of a set of pictures by class, to train on and to evaluate on: folders or shards of them, or drawn.

ROOT/PART/CLASS/*.jpg or ROOT/PART-*.tar    a part that is there
ROOT/CLASS/*.jpg or ROOT/all-*.tar          a set without parts, of which a share is held out
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnpool.data.image_folder import image_folder, split_by_seed
from rnnpool.data.labelled import LabelledImages
from rnnpool.data.shards import ALL, ShardOrder, ShardPixels, has_shards, open_shards


def data_folder(data: Path, folder: str) -> Path:
    """The data set ``data/folder``; --data may also name it directly."""
    below = data / folder
    return below if below.is_dir() else data


def has_part(root: Path, part: str) -> bool:
    return has_shards(root, part) or (root / part).is_dir()


def open_part(
    root: Path,
    part: str,
    *,
    classes: Sequence[str] | None = None,
    channels: int = 3,
    least_side: int | None = None,
    cache: Path | None = None,
) -> tuple[LabelledImages, ShardOrder | None]:
    """The pictures of a part, and the order to train on them in if they are in shards.

    Arguments and errors are those of ``image_folder`` and ``open_shards``; shards are not cached.
    """
    if has_shards(root, part):
        return open_shards(root, part, classes=classes, channels=channels, least_side=least_side)
    images = image_folder(root, part, classes=classes, channels=channels, cache=cache, least_side=least_side)
    return images, None


def hold_out(
    root: Path, share: float, seed: int, **options: Any
) -> tuple[LabelledImages, LabelledImages, ShardOrder | None]:
    """A set without parts in two, as ``split_by_seed`` does it, and the first's order; ``options`` of ``open_part``."""
    whole, _ = open_part(root, ALL if has_shards(root, ALL) else ".", **options)
    train, held = split_by_seed(whole, share, seed)
    pixels = whole.pixels
    return train, held, ShardOrder(pixels.places[train.images]) if isinstance(pixels, ShardPixels) else None
