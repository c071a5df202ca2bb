"""Detections as text files, one an image, in the layout that WIDER FACE's evaluation server and tools take.

    DIR/EVENT/NAME.txt:
        EVENT/NAME.jpg          the official name, whatever the suffix of the file that was read
        3                       how many lines follow
        x y w h score           pixels of the image; best score first

Of files by others the names and the numbers count, the first line does not: the tools in use fill it in four ways.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rnnpool.errors import InputError
from rnnpool.files import read_lines, write_text


def write_submission(folder: Path, detections: Mapping[str, np.ndarray]) -> None:
    """Write ``folder/NAME.txt`` for each name (``EVENT/NAME``) of detections (n, 5), x y w h score in pixels."""
    for name, rows in detections.items():
        # Nine digits hold a float32 score exactly: the file's scores rank, and tie, as the detector's.
        lines = [" ".join([*(f"{value:.3f}" for value in row[:4]), f"{row[4]:.9g}"]) for row in rows.tolist()]
        write_text(folder / f"{name}.txt", "\n".join([f"{name}.jpg", str(len(lines)), *lines]) + "\n")


def read_submission(folder: Path, names: Sequence[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Read the files of these images.

    Returns:
        The detections by name, float64 (n, 5), and the names that have no file.

    Raises:
        InputError: no folder, none of the files, or a malformed line (file and line are named).
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of predictions")
    detections, missing = {}, []
    for name in names:
        path = folder / f"{name}.txt"
        if path.is_file():
            detections[name] = read_file(path)
        else:
            missing.append(name)
    if names and not detections:
        raise InputError(f"{folder}: has no file for any of the {len(names)} images, such as {names[0]}.txt")
    return detections, missing


def read_file(path: Path) -> np.ndarray:
    """The rows of one file, float64 (n, 5): x y w h score."""
    lines = read_lines(path)
    if len(lines) < 2 or not lines[1].strip().isdecimal():
        text = lines[1].strip() if len(lines) > 1 else "the end of the file"
        raise InputError(f"{path}:2: {text!r}; expected the number of detections, below the name of the image")
    count, rows = int(lines[1]), lines[2:]
    if len(rows) != count:
        raise InputError(f"{path}:2: announces {count} detections; {len(rows)} lines follow")
    return np.array([_numbers(row, f"{path}:{i}") for i, row in enumerate(rows, 3)]).reshape(-1, 5)


def _numbers(line: str, where: str) -> list[float]:
    try:
        numbers = [float(field) for field in line.split()]
    except ValueError:
        numbers = []
    if len(numbers) != 5 or not np.isfinite(numbers).all() or min(numbers[2:4]) < 0:
        raise InputError(f"{where}: {line.strip()!r}; expected x y w h score: finite numbers, w and h not negative")
    return numbers
