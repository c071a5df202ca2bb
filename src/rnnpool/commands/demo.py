"""``rnnpool demo``: the faces in two portraits that come with other packages, and what finding them costs."""

import argparse
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from rnnpool.errors import InputError

if TYPE_CHECKING:
    from rnnpool.models import Detector

EPILOG = """\
The photos are public-domain portraits that other packages ship as samples, so nothing is downloaded: Grace Hopper
(matplotlib) and Eileen Collins (scikit-image). Both packages come with: pip install "rnnpool[demo]"
"""

PHOTOS = {  # name of the copy: package, file inside it
    "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    "astronaut": ("skimage", "data/astronaut.png"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("--model", metavar="NAME", help="a detector's name (default: the weights', or face-tiny)")
    parser.add_argument("--weights", metavar="FILE", help="a .safetensors file (default: those of the package)")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=Path("demo-out"), help="where the pictures go (default: demo-out)"
    )


def run(args: argparse.Namespace) -> int:
    photos = {name: photo_path(name) for name in PHOTOS}

    from rnnpool.commands.detect import describe, write_copy
    from rnnpool.commands.engines import open_detector
    from rnnpool.commands.output import check_folder
    from rnnpool.images import load_image

    check_folder(args.out, "--out")
    detector = open_detector(args.model, args.weights, "float")
    for name, path in photos.items():
        image = load_image(path)
        faces = detector.detect(image)
        copy = args.out / f"{name}.png"
        write_copy(image, faces, copy)
        print(describe(path.name, faces, copy), flush=True)
    print(cost_line(str(detector.model.registry_name), detector.model))
    return 0


def cost_line(name: str, model: "Detector") -> str:
    """What one image costs; multiply-adds as the package computes them, maps as width x height x channels."""
    from rnnpool.cost import count

    height, width = model.input_size
    cost = count(model, (model.in_channels, height, width))
    channels, rows, columns = cost.largest.shape
    return (
        f"{name} on {width}x{height} {'grey' if model.in_channels == 1 else 'RGB'}: {cost.parameters:,} parameters, "
        f"{cost.madds.shared / 1e6:.1f}M multiply-adds, "
        f"largest map {columns}x{rows}x{channels} ({cost.largest.size:,} numbers)"
    )


def photo_path(name: str) -> Path:
    """The file of one of ``PHOTOS``, found without importing its package; InputError where it is not there."""
    package, inside = PHOTOS[name]
    spec = importlib.util.find_spec(package)
    path = Path(spec.origin).parent / inside if spec is not None and spec.origin is not None else None
    if path is None or not path.is_file():
        raise InputError(f'the demo needs the photo {inside} of package {package}: pip install "rnnpool[demo]"')
    return path
