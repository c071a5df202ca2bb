"""Small folders of pictures, one folder a class, that a network can tell apart."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (210, 50, 40)}


def write_pictures(
    folder: Path,
    counts: dict[str, int],
    *,
    size: tuple[int, int] = (40, 32),
    seed: int = 0,
    suffixes: Sequence[str] = (".png",),
) -> Path:
    """``folder/CLASS/picture-N.png``: noise around the class's colour; (width, height) varies by a few pixels."""
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            width, height = size[0] + number % 3, size[1] + number % 2
            pixels = rng.normal(COLOURS[name], 40, (height, width, 3)).clip(0, 255).astype(np.uint8)
            suffix = suffixes[number % len(suffixes)]
            Image.fromarray(pixels).save(folder / name / f"picture-{number}{suffix}")
    return folder
