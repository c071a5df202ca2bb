"""Pictures packed into tar files, named as WebDataset does: few large files instead of millions of small ones.

``PART-000000.tar``, ``PART-000001.tar``, ... hold for each sample KEY.jpg (the file as it was) and KEY.cls (the number
of its class, as text). ``PART.json`` beside them lists the classes and where every image lies, so that any sample can
be read at once; of shards that others made it is worked out by reading their headers.

Reading is by position, not by walking through a tar: an epoch can be in any order, and be taken up at any step. So that
neighbouring reads still come from few files, ``ShardOrder`` shuffles the shards, and samples among a few shards at a
time.
"""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from rnnpool.data.image_folder import class_names, image_folder
from rnnpool.data.labelled import LabelledImages
from rnnpool.data.pixel_cache import PixelFiles
from rnnpool.data.unreadable import all_unreadable_named
from rnnpool.errors import InputError
from rnnpool.files import atomic_path, write_text
from rnnpool.images import IMAGE_SUFFIXES, UnreadableImage, shrink_on_load, to_rgb, upright_size

MEGABYTE = 10**6
ALL = "all"  # the part that a folder of classes without parts is packed as; it is split when it is opened


@dataclass(frozen=True)
class ShardIndex:
    """Where every sample of a part lies; N samples, in order of the shards.

    Attributes:
        classes: their names.
        shards: names of the tar files.
        places: int64 (N, 4): number of the shard, offset and length in bytes, class.
        names: (N,) of the samples.
    """

    classes: tuple[str, ...]
    shards: tuple[str, ...]
    places: np.ndarray
    names: tuple[str, ...]


class ShardPixels:
    """Images decoded from tar files at every access, as ``Pixels``."""

    def __init__(self, folder: Path, index: ShardIndex, channels: int, least_side: int | None = None) -> None:
        self.paths, self.places, self.names = [folder / name for name in index.shards], index.places, index.names
        self.channels, self.least_side = channels, least_side

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> np.ndarray:
        with self._opened(index) as image:
            image.load()
            rgb = to_rgb(ImageOps.exif_transpose(image), name=self.names[index])
        pixels = np.array(rgb.convert("L") if self.channels == 1 else rgb)
        return pixels.reshape(*pixels.shape[:2], self.channels)

    def size(self, index: int) -> tuple[int, int]:
        with self._opened(index) as image:
            return upright_size(image)

    @contextmanager
    def _opened(self, index: int) -> Iterator[Image.Image]:
        """The image, its pixels not decoded yet."""
        shard, offset, length, _ = (int(v) for v in self.places[index])
        with open(self.paths[shard], "rb") as file:
            file.seek(offset)
            content = file.read(length)
        try:
            with Image.open(io.BytesIO(content)) as image:
                shrink_on_load(image, self.least_side)
                yield image
        except InputError:
            raise
        except Exception as error:  # Pillow's decoders leak every kind
            raise UnreadableImage(
                f"{self.paths[shard]}: {self.names[index]} is corrupt or unreadable ({error})"
            ) from error


class ShardOrder:
    """An epoch's order: shards shuffled, then samples among ``window`` shards at a time. See ``stream.Order``."""

    def __init__(self, places: np.ndarray, window: int = 16) -> None:
        self.members = [np.flatnonzero(places[:, 0] == shard) for shard in np.unique(places[:, 0])]
        self.window = window

    def __call__(self, length: int, seed: int) -> Tensor:
        """int64 (length,): every sample once."""
        rng = np.random.default_rng(seed)
        shards = rng.permutation(len(self.members))
        parts = []
        for start in range(0, len(shards), self.window):
            members = np.concatenate([self.members[shard] for shard in shards[start : start + self.window]])
            parts.append(rng.permutation(members))
        return torch.from_numpy(np.concatenate(parts))


def pack(
    root: Path, part: str, out: Path, *, classes: Sequence[str] | None = None, megabytes: int = 256, seed: int = 0
) -> ShardIndex:
    """Pack the folder of classes ``root/part`` into shards in ``out``, in an order drawn by ``seed``.

    Args:
        classes: see ``image_folder``.
        megabytes: size from which a new shard begins.

    Raises:
        InputError: no images, one that cannot be read, or shards of this part are there already.
    """
    name = ALL if part == "." else part
    if any(out.glob(f"{name}-*.tar")):
        raise InputError(f"{out}: has shards of {name!r} already; choose another folder, or delete them")
    images = image_folder(root, part, classes=classes)
    assert isinstance(images.pixels, PixelFiles)
    order = np.random.default_rng(seed).permutation(len(images))
    shards: list[str] = []
    places, written = np.zeros((len(order), 4), np.int64), 0
    # Shards appear under their names when all are whole: without the index some of them would pass for a data set.
    with all_unreadable_named(images.pixels), ExitStack() as stack:
        tar: tarfile.TarFile | None = None
        for number, source in enumerate(order):
            if tar is None or written >= megabytes * MEGABYTE:
                if tar is not None:
                    tar.close()
                shards.append(f"{name}-{len(shards):06d}.tar")
                path = stack.enter_context(atomic_path(out / shards[-1]))
                tar, written = stack.enter_context(tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)), 0
            path = images.pixels.paths[source]
            content, label = _content(path), int(images.targets[source])
            offset = _add(tar, f"{number:09d}{path.suffix.lower()}", content)
            _add(tar, f"{number:09d}.cls", str(label).encode())
            places[number] = len(shards) - 1, offset, len(content), label
            written += len(content)
    names = tuple(images.names[source] for source in order)
    index = ShardIndex(images.classes, tuple(shards), places, names)
    entry = {"classes": index.classes, "shards": index.shards, "places": places.tolist(), "names": names}
    write_text(out / f"{name}.json", json.dumps(entry))
    return index


def has_shards(folder: Path, part: str) -> bool:
    """Whether ``folder`` has shards of ``part``."""
    return any(folder.glob(f"{part}-*.tar"))


def open_shards(
    folder: Path,
    part: str,
    *,
    classes: Sequence[str] | None = None,
    channels: int = 3,
    least_side: int | None = None,
) -> tuple[LabelledImages, ShardOrder]:
    """The images of ``folder/PART-*.tar`` and the order to train on them in.

    Args:
        classes: that they must have, in this order.
        least_side: see ``open_pixels``.

    Raises:
        InputError: no shards, one that is missing or cut short, or other classes than ``classes``.
    """
    indexed = (folder / f"{part}.json").is_file()
    index = _read_index(folder, part) if indexed else _scan(folder, part)
    for number, name in enumerate(index.shards):
        mine = index.places[index.places[:, 0] == number]
        end = int((mine[:, 1] + mine[:, 2]).max()) if len(mine) else 0
        size = (folder / name).stat().st_size if (folder / name).is_file() else -1
        if size < end:
            what = "is missing" if size < 0 else f"has {size:,} bytes, its last image ends at {end:,}"
            raise InputError(f"{folder / name}: {what}")
    if classes is not None and not indexed and len(index.classes) < len(classes):
        index = replace(index, classes=tuple(map(str, range(len(classes)))))  # its highest classes have no image
    if classes is not None and tuple(classes) != index.classes:
        raise InputError(
            f"{folder}, {part}: the classes are {index.classes[:20]}, the training's are {tuple(classes)[:20]}"
        )
    pixels = ShardPixels(folder, index, channels, least_side)
    return LabelledImages(pixels, index.names, index.classes, index.places[:, 3].copy()), ShardOrder(index.places)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImage(f"{path}: cannot be read ({error.strerror})") from error


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> int:
    """Append a member; the offset of its content."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    before = tar.offset
    tar.addfile(info, io.BytesIO(content))
    return before + tarfile.BLOCKSIZE  # its header is one block: the names are short


def _read_index(folder: Path, part: str) -> ShardIndex:
    path = folder / f"{part}.json"
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        places = np.array(entry["places"], dtype=np.int64).reshape(-1, 4)
        return ShardIndex(tuple(entry["classes"]), tuple(entry["shards"]), places, tuple(entry["names"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged ({error}); delete it, and the shards' headers are read instead") from error


def _scan(folder: Path, part: str) -> ShardIndex:
    """The index of shards without one: classes are called by their numbers."""
    shards = sorted(path.name for path in folder.glob(f"{part}-*.tar"))
    if not shards:
        raise InputError(f"{folder}: no shards {part}-*.tar")
    places, names = [], []
    for number, shard in enumerate(shards):
        images: dict[str, tuple[int, int, str]] = {}
        labels: dict[str, int] = {}
        try:
            with tarfile.open(folder / shard) as tar:
                for member in tar:
                    folder_of, slash, name = member.name.rpartition("/")
                    stem, _, suffix = name.partition(".")
                    key = f"{folder_of}{slash}{stem}"
                    if f".{suffix.lower()}" in IMAGE_SUFFIXES:
                        images[key] = (member.offset_data, member.size, member.name)
                    elif suffix == "cls":
                        file = tar.extractfile(member)
                        assert file is not None
                        labels[key] = int(file.read())
        except (tarfile.TarError, ValueError) as error:
            raise InputError(f"{folder / shard}: not a whole tar file of images and .cls ({error})") from error
        if not images:
            raise InputError(f"{folder / shard}: no image in it (as KEY.jpg, beside KEY.cls)")
        for key, (offset, length, name) in images.items():
            if key not in labels:
                raise InputError(f"{folder / shard}: {name} has no {key}.cls")
            places.append((number, offset, length, labels[key]))
            names.append(f"{shard}/{name}")
    table = np.array(places, dtype=np.int64).reshape(-1, 4)
    count = int(table[:, 3].max()) + 1 if len(table) else 0
    return ShardIndex(tuple(map(str, range(count))), tuple(shards), table, tuple(names))


def parts_of(root: Path) -> list[str]:
    """The parts that a folder is packed by, the one whose classes are the others' first.

    Where there is ``train`` or ``val``, all folders that hold folders of classes; else "." alone, the folder itself.
    """
    usual = [name for name in ("train", "val") if (root / name).is_dir()]
    if not usual:
        return ["."]
    visible = sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [*usual[:1], *(name for name in visible if name != usual[0] and _has_classes(root / name))]


def _has_classes(folder: Path) -> bool:
    try:
        return bool(class_names(folder))
    except InputError:
        return False
