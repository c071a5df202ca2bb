"""The ground truth of WIDER FACE's validation set, as the evaluation tools ship it.

``wider_easy_val.mat``, ``wider_medium_val.mat`` and ``wider_hard_val.mat`` each hold, per event (61 cells) and image,
the name, the boxes ``x y w h`` of all faces, and ``gt_list``: the 1-based numbers of the faces that the level counts.
The other faces are ignored there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rnnpool.errors import InputError
from rnnpool.eval.evaluation import Truth

LEVELS = ("easy", "medium", "hard")

_FIRST = f"wider_{LEVELS[0]}_val.mat"

# Where the files lie under the data set's root: in repackaged sets, or as the official archive unpacks.
_FOLDERS = ("ground_truth", "eval_tools/ground_truth")


def read_ground_truth(root: Path) -> Truth:
    """Read the three files under ``root``.

    Raises:
        InputError: scipy is not installed; a file is missing, unreadable or without a field; the files disagree.
    """
    folder = _find_folder(root)
    names: list[str] = []
    boxes: list[np.ndarray] = []
    counted: dict[str, list[np.ndarray]] = {}
    for level in LEVELS:
        path = folder / f"wider_{level}_val.mat"
        level_names, level_boxes, counted[level] = _read_level(path)
        if level == LEVELS[0]:
            names, boxes = level_names, level_boxes
        elif level_names != names or [len(b) for b in level_boxes] != [len(b) for b in boxes]:
            raise InputError(f"{path}: lists other images or faces than wider_{LEVELS[0]}_val.mat beside it")
    return Truth(names, boxes, counted)


def has_ground_truth(root: Path) -> bool:
    """Whether the evaluation tools' files lie under ``root``; a user's own set in this layout has none."""
    return any((root / name / _FIRST).is_file() for name in _FOLDERS)


def _find_folder(root: Path) -> Path:
    for name in _FOLDERS:
        if (root / name / _FIRST).is_file():
            return root / name
    raise InputError(f"{root}: no {' or '.join(f'{name}/{_FIRST}' for name in _FOLDERS)}; evaluation needs these files")


def _read_level(path: Path) -> tuple[list[str], list[np.ndarray], list[np.ndarray]]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise InputError("reading WIDER FACE's .mat files needs scipy: pip install 'rnnpool[train]'") from error
    if not path.is_file():
        raise InputError(f"{path}: no such file; WIDER FACE's evaluation needs easy, medium and hard")
    try:
        content = loadmat(path)
    except Exception as error:  # the reader leaks every kind: IndexError, ValueError, zlib.error, ...
        raise InputError(f"{path}: not a readable .mat file ({error})") from error
    for field in ("event_list", "file_list", "face_bbx_list", "gt_list"):
        if field not in content:
            raise InputError(f"{path}: has no field {field!r}; it has {', '.join(k for k in content if k[0] != '_')}")
    try:
        images = list(_images(content))
    except (IndexError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: its cells are not nested as in the evaluation tools' files ({error})") from error
    counted = []
    for name, faces, numbers in images:
        if len(numbers) and not (numbers.min() >= 1 and numbers.max() <= len(faces)):
            raise InputError(f"{path}: {name} counts faces {numbers.min()} to {numbers.max()}; it has {len(faces)}")
        counted.append(np.isin(np.arange(1, len(faces) + 1), numbers))
    return [name for name, _, _ in images], [faces for _, faces, _ in images], counted


def _images(content: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, boxes float64 (m, 4) x y w h, and int64 1-based numbers of the faces that count, of every image."""
    events = [str(cell[0][0]) for cell in content["event_list"]]
    fields = (_cells(content[field]) for field in ("file_list", "face_bbx_list", "gt_list"))
    for event, *lists in zip(events, *fields, strict=True):
        for file, boxes, numbers in zip(*lists, strict=True):
            yield f"{event}/{file[0]}", boxes.astype(np.float64).reshape(-1, 4), numbers.reshape(-1).astype(np.int64)


def _cells(field: np.ndarray) -> list[list[Any]]:
    """A cell array of events, each a cell array of images -> nested lists."""
    return [[image[0] for image in event[0]] for event in field]
