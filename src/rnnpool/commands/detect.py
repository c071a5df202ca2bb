"""``rnnpool detect``: find the faces in images and folders, draw them, list them as JSON."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnnpool.commands import engines
from rnnpool.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from rnnpool.pipeline import Face

EPILOG = f"""\
examples:
  rnnpool detect photo.jpg                            print the faces
  rnnpool detect photo.jpg --out found                draw them: found/photo.png
  rnnpool detect photos/ more/ --json faces.json      folders, with all that is below them
  rnnpool detect photo.jpg --json - | jq '.[].faces'  JSON to stdout, and nothing else
  rnnpool detect photo.jpg --engine c                 the microcontroller's integers, compiled for this machine

The JSON file is a list with one entry an image, in the order of the inputs:
  [{{"image": "photo.jpg", "width": 640, "height": 480,
    "faces": [{{"x": 205.1, "y": 80.4, "width": 96.0, "height": 121.7, "score": 0.93}}]}}]
x and y are the top left corner. All are pixels of the upright image (EXIF orientation applied), best score first.

{engines.EPILOG}
An image that cannot be read is named on stderr and skipped; the exit status is then 1, and 2 if none could be read.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("inputs", metavar="IMAGE|DIR", nargs="+", type=Path, help="image files, and folders of them")
    parser.add_argument("--model", metavar="NAME", help="a detector's name (default: the weights', or face-tiny)")
    parser.add_argument("--weights", metavar="FILE", help="a .safetensors file (default: those of the package)")
    engines.add_argument(parser)
    parser.add_argument(
        "--threshold", metavar="T", type=float, help="leave out faces that score less, 0..1 (default: 0.4)"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="write annotated pictures here, as PNG")
    parser.add_argument("--json", metavar="FILE", help='write the faces here as JSON ("-": stdout)')


def run(args: argparse.Namespace) -> int:
    from rnnpool.commands.image_files import copy_paths, find_images
    from rnnpool.commands.output import check_folder, check_json_target, skipped, write_json

    _check_threshold(args.threshold)
    files, problems = find_images(args.inputs, skip=args.out)
    for problem in problems:
        skipped(problem)
    if not files:
        raise InputError("no image to look at")
    # What would fail at the end fails now: nobody should wait for a thousand images and then lose them.
    copies = copy_paths(files, args.out) if args.out is not None else None
    if args.out is not None:
        check_folder(args.out, "--out")
    check_json_target(args.json, (file.path for file in files))

    from rnnpool.images import load_image
    from rnnpool.pipeline import to_json_entry

    detector = engines.open_detector(args.model, args.weights, args.engine)
    entries = []
    for i in _with_progress(range(len(files))):
        path = files[i].path
        try:
            image = load_image(path)
        except InputError as error:
            skipped(str(error))
            problems.append(str(error))
            continue
        faces = detector.detect(image, threshold=args.threshold)
        entries.append(to_json_entry(str(path), image, faces))
        if copies is not None:
            write_copy(image, faces, copies[i])
        if args.json != "-":
            print(describe(str(path), faces, copies[i] if copies is not None else None), flush=True)
    if not entries:
        raise InputError("no image could be read")
    write_json(entries, args.json)
    return 1 if problems else 0


def describe(name: str, faces: Sequence["Face"], copy: Path | None) -> str:
    """The lines that are printed of one image; sizes in pixels."""
    count = {0: "no face", 1: "1 face"}.get(len(faces), f"{len(faces)} faces")
    lines = [f"{name}: {count}" + (f" -> {copy}" if copy is not None else "")]
    lines += [
        f"  {face.width:.0f} x {face.height:.0f} at x {face.x:.0f}, y {face.y:.0f}  score {face.score:.2f}"
        for face in faces
    ]
    return "\n".join(lines)


def _with_progress(numbers: Sequence[int]) -> Iterable[int]:
    """A bar on stderr where that is a terminal and stdout, whose lines show the progress too, is not."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if len(numbers) < 2 or not console.is_terminal or sys.stdout.isatty():
        return numbers

    def tracked() -> Iterator[int]:
        with Progress(console=console, redirect_stdout=False) as progress:
            yield from progress.track(numbers, description="detecting")

    return tracked()


def write_copy(image: "Image.Image", faces: Sequence["Face"], path: Path) -> None:
    from rnnpool.draw import draw_faces
    from rnnpool.files import atomic_path

    try:
        with atomic_path(path) as temporary:
            draw_faces(image, faces).save(temporary)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def _check_threshold(threshold: float | None) -> None:
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        raise InputError(f"--threshold is {threshold:g}; a score is 0..1")
