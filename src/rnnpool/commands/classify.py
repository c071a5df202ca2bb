"""``rnnpool classify``: what images show, by a classifier of the package or of the user's own."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rnnpool.commands import engines
from rnnpool.errors import InputError

if TYPE_CHECKING:
    from rnnpool.classifier import Guess

EPILOG = f"""\
examples:
  rnnpool classify photo.jpg                                      is there a person?
  rnnpool classify photos/ --weights runs/pictures/best.safetensors   your own classes
  rnnpool classify photo.jpg --engine c                           the microcontroller's integers, on this machine
  rnnpool classify photos/ --json - | jq '.[].classes'            JSON to stdout, and nothing else

The central square of each image is looked at. The JSON file is a list with one entry an image, in the order of the
inputs, the likeliest class first:
  [{{"image": "photo.jpg", "classes": {{"person": 0.93, "no_person": 0.07}}}}]

{engines.EPILOG}
An image that cannot be read is named on stderr and skipped; the exit status is then 1, and 2 if none could be read.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("inputs", metavar="IMAGE|DIR", nargs="+", type=Path, help="image files, and folders of them")
    parser.add_argument("--model", metavar="NAME", help="a classifier's name (default: vww-rnnpool, or the file's own)")
    parser.add_argument("--weights", metavar="FILE", help="a .safetensors file (default: those of the package)")
    engines.add_argument(parser)
    parser.add_argument("--top", metavar="N", type=int, default=1, help="classes to print an image (default: 1)")
    parser.add_argument("--json", metavar="FILE", help='write all classes here as JSON ("-": stdout)')


def run(args: argparse.Namespace) -> int:
    from rnnpool.commands.image_files import find_images
    from rnnpool.commands.output import check_json_target, skipped, write_json

    if args.top < 1:
        raise InputError(f"--top is {args.top}; at least 1 class is printed")
    files, problems = find_images(args.inputs)
    for problem in problems:
        skipped(problem)
    if not files:
        raise InputError("no image to look at")
    check_json_target(args.json, (file.path for file in files))

    classifier = engines.open_classifier(args.model, args.weights, args.engine)
    entries = []
    for file in files:
        try:
            guesses = classifier.classify(file.path)
        except InputError as error:
            skipped(str(error))
            problems.append(str(error))
            continue
        classes = {guess.label: round(guess.probability, 4) for guess in guesses}
        entries.append({"image": str(file.path), "classes": classes})
        if args.json != "-":
            print(_line(file.path, guesses[: args.top]), flush=True)
    if not entries:
        raise InputError("no image could be read")
    write_json(entries, args.json)
    return 1 if problems else 0


def _line(path: Path, guesses: "list[Guess]") -> str:
    return f"{path}: " + ", ".join(f"{label} {probability:.2f}" for label, probability in guesses)
