"""The image files that a user means by a list of files and folders, and where each one's annotated copy goes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnpool.images import IMAGE_SUFFIXES


@dataclass(frozen=True)
class ImageFile:
    """An image to read, and the path of its annotated copy relative to the output folder, without a suffix."""

    path: Path
    copy: Path


def find_images(inputs: Sequence[Path], skip: Path | None = None) -> tuple[list[ImageFile], list[str]]:
    """All images that ``inputs`` name, each once, in the order of the inputs and sorted within a folder.

    A file that is named is taken whatever its suffix. Of a folder, all that lies below it and has an image's suffix is
    taken, but neither hidden files nor what lies in ``skip``, which holds the pictures of an earlier run.

    Returns:
        The images, and one message for each input that is missing or a folder without images.
    """
    found: list[ImageFile] = []
    problems = []
    seen: set[Path] = set()
    for entry in inputs:
        if entry.is_dir():
            files = [ImageFile(path, path.relative_to(entry).with_suffix("")) for path in _walk(entry, skip)]
            if not files:
                problems.append(f"{entry}: no images in this folder ({' '.join(sorted(IMAGE_SUFFIXES))})")
        elif entry.exists():
            files = [ImageFile(entry, Path(entry.stem))]
        else:
            files = []
            problems.append(f"{entry}: no such file or folder")
        for file in files:
            if (real := file.path.resolve()) not in seen:
                seen.add(real)
                found.append(file)
    return found, problems


def copy_paths(files: Sequence[ImageFile], folder: Path) -> list[Path]:
    """Where the annotated copies go: ``folder``/.../NAME.png, all different, and none of them one of ``files``.

    Names that collide (photo.jpg and photo.webp, or the same name in two folders) get -2, -3, ... in the order of
    ``files``. Case is ignored in comparing, since some file systems do.
    """
    taken = {_key(file.path) for file in files}
    paths = []
    for file in files:
        path = folder / file.copy.with_name(f"{file.copy.name}.png")
        number = 1
        while _key(path) in taken:
            number += 1
            path = folder / file.copy.with_name(f"{file.copy.name}-{number}.png")
        taken.add(_key(path))
        paths.append(path)
    return paths


def _walk(root: Path, skip: Path | None) -> list[Path]:
    real_skip = skip.resolve() if skip is not None else None
    paths = []
    for folder, subfolders, names in os.walk(root):
        # A folder that is searched and written to at once is not skipped: the user asked for both.
        subfolders[:] = [
            name for name in subfolders if not name.startswith(".") and (Path(folder) / name).resolve() != real_skip
        ]
        paths += [
            Path(folder) / name
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
        ]
    return sorted(paths)


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()
