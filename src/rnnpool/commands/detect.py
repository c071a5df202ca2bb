"""``rnnpool detect``: find the faces in images and folders, draw them, list them as JSON."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnnpool.errors import InputError

if TYPE_CHECKING:
    from rnnpool.pipeline import Face, FaceDetector

EPILOG = """\
examples:
  rnnpool detect photo.jpg                            print the faces
  rnnpool detect photo.jpg --out found                draw them: found/photo.png
  rnnpool detect photos/ more/ --json faces.json      folders, with all that is below them
  rnnpool detect photo.jpg --json - | jq '.[].faces'  JSON to stdout

The JSON file is a list with one entry an image, in the order of the inputs:
  [{"image": "photo.jpg", "width": 640, "height": 480,
    "faces": [{"x": 205.1, "y": 80.4, "width": 96.0, "height": 121.7, "score": 0.93}]}]
x and y are the top left corner. All are pixels of the upright image (EXIF orientation applied), best score first.

An image that cannot be read is named on stderr and skipped; the exit status is then 1, and 2 if none could be read.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("inputs", metavar="IMAGE|DIR", nargs="+", type=Path, help="image files, and folders of them")
    parser.add_argument("--model", metavar="NAME", default="face-tiny", help="a detector's name (default: face-tiny)")
    parser.add_argument("--weights", metavar="FILE", help="a .safetensors file (default: those of the package)")
    parser.add_argument(
        "--threshold", metavar="T", type=float, help="leave out faces that score less, 0..1 (default: 0.5)"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, help="write annotated pictures here, as PNG")
    parser.add_argument("--json", metavar="FILE", help='write the faces here as JSON ("-": stdout)')


def run(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import track

    from rnnpool.files import write_text
    from rnnpool.images import load_image
    from rnnpool.pipeline import FaceDetector, to_json_entry

    _check(args)
    files, problems = find_images(args.inputs)
    _check_json_target(args.json, files)
    detector = FaceDetector.from_name(args.model, weights=args.weights or "default")
    picture_name = unused_names(args.inputs, files)
    report: Callable[[str], None] = _to_stderr if args.json == "-" else print

    entries = []
    console = Console(stderr=True)
    for file in track(files, "detecting", console=console, disable=len(files) < 2 or not console.is_terminal):
        try:
            image = load_image(file)
        except InputError as error:
            problems.append(str(error))
            _to_stderr(f"rnnpool: skipped: {error}")
            continue
        faces = detector.detect(image, threshold=args.threshold)
        entries.append(to_json_entry(str(file), image, faces))
        ...
    return 1 if problems else 0
