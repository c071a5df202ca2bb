"""Pixels of the images of a data set: decoded at every access, or once into one memory-mapped file.

Decoding a WebP or JPEG costs more than the rest of a training sample together. The cache decodes every image once
(uint8; grey 640x480: 0.3 MB each, RGB three times that) and later runs and other processes map the same file, so
that its pages are shared and reading a crop touches only that crop.

The file name carries a hash of the list of files, their sizes and times of change, and the mode: changed data get a
new file.
Both files are written atomically, the index last, so that an index is never there without its pixels.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
from rich.console import Console
from rich.progress import Progress

from rnnpool.data.unreadable import all_unreadable_named
from rnnpool.errors import InputError
from rnnpool.files import atomic_path
from rnnpool.images import image_size, load_image

_AHEAD = 4 * (os.cpu_count() or 1)  # images that are held while they are decoded
_FORMAT = 1  # raised when the meaning of the bytes changes


def decode(path: Path, channels: int, least_side: int | None = None) -> np.ndarray:
    """Pixels of one file: uint8 (H, W, channels); one channel is Pillow's "L" (ITU-R 601 luma) of the RGB image.

    Args:
        least_side: see ``rnnpool.images.shrink_on_load``.
    """
    image = load_image(path, least_side)
    pixels = np.array(image.convert("L") if channels == 1 else image)
    return pixels.reshape(*pixels.shape[:2], channels)


class Pixels(Protocol):
    """The images of a data set by number."""

    channels: int

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> np.ndarray:
        """uint8 (H, W, channels); not to be written to."""

    def size(self, index: int) -> tuple[int, int]:
        """(width, height), without decoding the image."""


class PixelFiles:
    """Pixels decoded from the image file at every access."""

    def __init__(self, paths: Sequence[Path], channels: int, least_side: int | None = None):
        self.paths = list(paths)
        self.channels, self.least_side = channels, least_side

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        return decode(self.paths[index], self.channels, self.least_side)

    def size(self, index: int) -> tuple[int, int]:
        return image_size(self.paths[index], self.least_side)


class PixelCache:
    """Pixels decoded before: ``cache[i]`` is a view into the mapped file."""

    def __init__(self, pixels_path: Path, index_path: Path, channels: int):
        self.pixels_path = pixels_path
        self.channels = channels
        try:
            index = np.load(index_path)  # (N, 3) int64: offset in bytes, height, width
        except (ValueError, EOFError) as error:
            raise InputError(f"{index_path}: damaged ({error}); delete it, and it is made again") from error
        self._index = index
        size = int(index[-1, 0] + index[-1, 1] * index[-1, 2] * channels) if len(index) else 0
        if pixels_path.stat().st_size != size:
            raise InputError(
                f"{pixels_path}: damaged, {pixels_path.stat().st_size} bytes instead of {size}; delete it, and it is "
                "made again"
            )
        self._pixels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> np.ndarray:
        if self._pixels is None:
            # Copy-on-write: torch wants writable memory, and nobody may write into the shared file.
            self._pixels = np.memmap(self.pixels_path, dtype=np.uint8, mode="c")
        offset, height, width = (int(v) for v in self._index[index])
        flat = self._pixels[offset : offset + height * width * self.channels]
        return flat.reshape(height, width, self.channels)

    def size(self, index: int) -> tuple[int, int]:
        _, height, width = (int(v) for v in self._index[index])
        return width, height

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_pixels": None}  # a worker process maps the file itself instead of copying it


def open_pixels(
    paths: Sequence[Path],
    *,
    channels: int,
    cache: str | Path | None,
    root: Path,
    least_side: int | None = None,
) -> Pixels:
    """The pixels of these images; with ``cache``, from there, after decoding them into it where they are not yet.

    Args:
        paths: image files, in order.
        channels: 1 (grey, Pillow's "L") or 3 (RGB).
        cache: folder where cache files live, created if absent; None decodes at every access.
        root: folder that the data set lies in; makes the cache independent of where that is.
        least_side: large JPEG files may be decoded smaller, see ``rnnpool.images.shrink_on_load``; None: never.

    Raises:
        InputError: other channels; or while the cache is built, unreadable images (all are named), or no place to
            write it.
    """
    if channels not in (1, 3):
        raise InputError(f"channels is {channels}; expected 1 (grey) or 3 (RGB)")
    if cache is None:
        return PixelFiles(paths, channels, least_side)
    key = _content_key(paths, channels, root, least_side)
    pixels_path, index_path = Path(cache) / f"pixels-{key}.bin", Path(cache) / f"pixels-{key}.npy"
    if not (index_path.exists() and pixels_path.exists()):
        _build(pixels_path, index_path, PixelFiles(paths, channels, least_side))
    return PixelCache(pixels_path, index_path, channels)


def _content_key(paths: Sequence[Path], channels: int, root: Path, least_side: int | None) -> str:
    digest = hashlib.sha256(f"format {_FORMAT} channels {channels}\n".encode())
    if least_side is not None:
        digest.update(f"least side {least_side}\n".encode())
    for path in paths:
        name = path.relative_to(root) if path.is_relative_to(root) else path
        status = path.stat() if path.exists() else path.lstat()  # a dangling link is named with all unreadable images
        # The size alone would miss a change of files without compression.
        digest.update(f"{name.as_posix()}\0{status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:20]


def _build(pixels_path: Path, index_path: Path, files: PixelFiles) -> None:
    print(f"rnnpool: decoding {len(files):,} images once, into {pixels_path}", file=sys.stderr, flush=True)
    index = np.zeros((len(files), 3), dtype=np.int64)
    try:
        with all_unreadable_named(files), atomic_path(pixels_path) as temporary, open(temporary, "wb") as file:
            for i, pixels in enumerate(_watched(_decoded(files), len(files))):
                index[i] = file.tell(), *pixels.shape[:2]
                file.write(pixels.tobytes())
        with atomic_path(index_path) as temporary:
            np.save(temporary, index)
    except OSError as error:
        raise InputError(
            f"data.cache {pixels_path.parent}: cannot be written ({error.strerror or error}); data.cache may be "
            "another folder, as an absolute path, or null to decode at every access"
        ) from error


def _watched(images: Iterator[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """``images``, with a bar on stderr where that is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(images, total=count, description="decoding")


def _decoded(files: PixelFiles) -> Iterator[np.ndarray]:
    """All images in order, decoded on all cores (Pillow lets go of the interpreter while it decodes)."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for first in range(0, len(files), _AHEAD):
            yield from pool.map(files.__getitem__, range(first, min(first + _AHEAD, len(files))))
