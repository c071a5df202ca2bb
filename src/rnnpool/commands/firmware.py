"""``rnnpool firmware``: an integer network as C on an emulated Cortex-M4, compared with its simulator, and measured."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnnpool.commands.integer_files import HELP, open_integers
from rnnpool.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from rnnpool.commands.image_files import ImageFile
    from rnnpool.compile.emit import Compiled
    from rnnpool.compile.exactness import Truth
    from rnnpool.compile.firmware import Measured
    from rnnpool.integer.network import IntNetwork
    from rnnpool.pipeline import Face

EPILOG = """\
Each image is scaled to fit the network's input and put into its upper left corner; of a classifier that says what it
was trained on, the middle of the image is taken as rnnpool evaluate does. Every output and every detection of the chip
is compared with the simulator's, bit for bit. Needs arm-none-eabi-gcc and qemu-system-arm; instructions are exact,
cycles and seconds (at 168 MHz) are estimates.

--check N compares on N of the images, evenly spaced, with the same C compiled for this machine by gcc, and on the chip
with the first 10 of them; all detections count, whatever they score. --intermediates compares every row of every
tensor that the C holds as well, in builds of their own that show them, and says which tensors it never holds.

examples:
  rnnpool firmware face-tiny photo.jpg --out found
  rnnpool firmware face-tiny-int8.safetensors photo.jpg --layers
  rnnpool firmware face-tiny WIDER_FACE/WIDER_val --check 200 --intermediates

Exit status. 0: all bits agree. 1: they do, and some images could not be read. 2: an error, or a bit that differs.
"""

_CLASSES = 5  # how many of a classifier's are printed


@dataclass(frozen=True)
class Photo:
    """An image as it is, and as the network sees it."""

    file: "ImageFile"
    original: "Image.Image"
    pixels: "NDArray[np.uint8]"  # (C, H, W)
    scale: float  # from pixels of the original to those of the network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("network", metavar="NETWORK", help=HELP)
    parser.add_argument("images", metavar="IMAGE|DIR", nargs="+", type=Path, help="image files, and folders of them")
    parser.add_argument("--machine", default="netduinoplus2", help="netduinoplus2 (192 KiB of RAM) or mps2-an386")
    parser.add_argument("--threshold", metavar="T", type=float, default=0.4, help="of detections (default: 0.4)")
    parser.add_argument("--out", metavar="DIR", type=Path, help="write annotated pictures here, as PNG")
    parser.add_argument("--check", metavar="N", type=int, help="compare N images on this machine, 10 on the chip")
    parser.add_argument("--intermediates", action="store_true", help="with --check: compare every tensor, row by row")
    parser.add_argument("--layers", action="store_true", help="print the costs of each layer and of each function")


def run(args: argparse.Namespace) -> int:
    from rnnpool.commands.image_files import copy_paths, find_images
    from rnnpool.commands.output import check_folder, skipped
    from rnnpool.compile.check import check
    from rnnpool.compile.emit import compile_network
    from rnnpool.compile.exactness import InexactError
    from rnnpool.integer.detector import find_integer_head
    from rnnpool.integer.images import evenly_spaced

    if not 0.0 <= args.threshold <= 1.0:
        raise InputError(f"--threshold is {args.threshold:g}; a score is 0..1")
    if args.check is not None and args.check < 1:
        raise InputError(f"--check is {args.check}; it is a number of images, 1 or more")
    if args.intermediates and args.check is None:
        raise InputError("--intermediates says what --check compares; add --check N")
    network = open_integers(args.network)
    head = find_integer_head(network)
    if args.out is not None and (head is None or args.check is not None):
        raise InputError("--out draws detections; " + ("--check shows none" if head else f"{network.name} finds none"))
    files, problems = find_images(args.images, skip=args.out)
    if args.check is not None:
        files = [files[i] for i in evenly_spaced(args.check, len(files))]
    photos = _read(files, network, problems)
    for problem in problems:
        skipped(problem)
    if not photos:
        raise InputError("no image to look at")
    if args.out is not None:
        check_folder(args.out, "--out")
    with tempfile.TemporaryDirectory(prefix="rnnpool-firmware-") as folder:
        compiled = compile_network(network, Path(folder), head=head)
        try:
            if args.check is None:
                copies = None if args.out is None else copy_paths([photo.file for photo in photos], args.out)
                measured = _show(compiled, network, photos, args.threshold, copies, args.machine)
            else:
                named = [(str(photo.file.path), photo.pixels) for photo in photos]
                measured = check(compiled, network, named, machine=args.machine, intermediates=args.intermediates)
            layers = _layer_costs(compiled, network, photos[0], args.machine) if args.layers else []
        except InexactError as error:
            print(f"rnnpool: error: {error}", file=sys.stderr)
            return 2
    _print_costs(measured)
    if args.layers:
        print(*layers, sep="\n")
        _print_functions(measured)
    return 1 if problems else 0


def _show(
    compiled: "Compiled",
    network: "IntNetwork",
    photos: Sequence[Photo],
    threshold: float,
    copies: Sequence[Path] | None,
    machine: str,
) -> "Measured":
    """Run all images on the chip; print and draw what it found."""
    from rnnpool.commands.detect import describe, write_copy
    from rnnpool.compile.check import expect_the_same
    from rnnpool.compile.exactness import simulate_image
    from rnnpool.compile.firmware import run_on_chip
    from rnnpool.integer.head import SCORE

    limit = round(threshold * SCORE)
    images = [photo.pixels for photo in photos]
    measured = run_on_chip(compiled, network, images, machine=machine, profile=True, threshold=limit)
    for number, photo in enumerate(photos):
        truth = simulate_image(network, compiled.head, photo.pixels, limit)
        expect_the_same(network, truth, measured, number, f"{photo.file.path}, on the chip")
        if truth.detections is not None:
            faces = _faces(truth.detections, photo)
            copy = None if copies is None else copies[number]
            if copy is not None:
                write_copy(photo.original, faces, copy)
            print(describe(str(photo.file.path), faces, copy))
        else:
            print(f"{photo.file.path}")
            for line in _scores(network, truth):
                print(f"  {line}")
        print("  bit for bit the simulator", flush=True)
    return measured


def _layer_costs(compiled: "Compiled", network: "IntNetwork", photo: Photo, machine: str) -> list[str]:
    """Lines that say what each layer takes for an image, in the order in which they run; joint ones as one."""
    from rnnpool.compile.emit import multiply_adds
    from rnnpool.compile.firmware import run_on_chip

    counts = run_on_chip(compiled, network, [photo.pixels], machine=machine, timed=True).stages
    assert counts is not None
    lines = [f"  {'instructions':>14} {'multiply-adds':>14} {'a multiply-add':>15}  layer"]
    for stage, instructions in zip(compiled.plan.stages, counts, strict=True):
        macs = sum(multiply_adds(node) for node in stage.ints)
        names = [node.name for node in (*stage.ints, *([stage.added] if stage.added else []))]
        what = f"{', '.join(names)} ({stage.kind})" if stage.index else "rows that arrive"
        rate = f"{macs:>14,} {instructions / macs:>15.2f}" if macs else " " * 30
        lines.append(f"  {instructions:>14,} {rate}  {what}")
    return lines


def _print_costs(measured: "Measured") -> None:
    assert measured.profile is not None
    instructions = max(measured.instructions)
    cycles = measured.cycles_per_instruction * instructions
    print(f"RAM           {measured.ram:>12,} bytes, of which stack {measured.stack:,}")
    print(f"flash         {measured.flash:>12,} bytes")
    print(f"instructions  {instructions:>12,} an image{', the longest' if len(set(measured.instructions)) > 1 else ''}")
    print(f"cycles        {cycles:>12,.0f} estimated, {measured.seconds:.2f} s at 168 MHz")


def _print_functions(measured: "Measured") -> None:
    assert measured.profile is not None
    for name, cost in measured.profile.functions.items():
        if cost.instructions * 1000 > measured.profile.total.instructions:
            print(f"  {cost.instructions / len(measured.instructions):>12,.0f} instructions  {name}")


def _read(files: "Sequence[ImageFile]", network: "IntNetwork", problems: list[str]) -> list[Photo]:
    """The images that can be read; of the others a line each is added to ``problems``."""
    from rnnpool.images import load_image

    photos = []
    for file in files:
        try:
            original = load_image(file.path)
        except InputError as error:
            problems.append(str(error))
            continue
        pixels, scale = _view(file.path, original, network)
        photos.append(Photo(file, original, pixels, scale))
    return photos


def _view(path: Path, image: "Image.Image", network: "IntNetwork") -> "tuple[NDArray[np.uint8], float]":
    """The image's bytes (C, H, W) as the network is to see them, and how much smaller it became."""
    from rnnpool.integer.images import centre_crops

    channels, height, width = network.image.shape
    if "test_crop" in network.metadata:
        return centre_crops([path], channels, (height, width), float(network.metadata["test_crop"]))[0], 1.0
    return fit(image, network.image.shape)


def fit(image: "Image.Image", shape: tuple[int, ...]) -> "tuple[NDArray[np.uint8], float]":
    """The image's bytes scaled to fit (C, H, W), on grey, and how much smaller it became."""
    import numpy as np
    from PIL import Image

    channels, height, width = shape
    image = image.convert("L" if channels == 1 else "RGB")
    scale = min(width / image.width, height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new(image.mode, (width, height), 128 if channels == 1 else (128, 128, 128))
    canvas.paste(image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR))
    pixels = np.asarray(canvas).reshape(height, width, channels).transpose(2, 0, 1)
    return np.ascontiguousarray(pixels), scale


def _faces(detections: "NDArray[np.int64]", photo: Photo) -> "list[Face]":
    """Detections (n, 5) in pixels of the original, cut at its border."""
    import numpy as np

    from rnnpool.integer.head import POSITION, SCORE
    from rnnpool.pipeline import Face

    border = [photo.original.width, photo.original.height] * 2
    boxes = np.clip(detections[:, :4] / (POSITION * photo.scale), 0, border)
    return [
        Face(x1, y1, x2 - x1, y2 - y1, score / SCORE)
        for (x1, y1, x2, y2), score in zip(boxes.tolist(), detections[:, 4].tolist(), strict=True)
        if x2 > x1 and y2 > y1
    ]


def _scores(network: "IntNetwork", truth: "Truth") -> list[str]:
    """A classifier's best classes; real outputs of other networks of vectors; nothing of others."""
    import numpy as np

    if not any(network.vectors):
        return []
    real = network.real_outputs(truth.outputs)
    if "classes" in network.metadata:
        named = sorted(zip(real[0].ravel(), json.loads(network.metadata["classes"]), strict=True), reverse=True)
        return [f"{name}  {score:.2f}" for score, name in named[:_CLASSES]]
    return [f"output {i}: {np.array2string(value, precision=3)}" for i, value in enumerate(real)]
