"""``rnnpool quantize``: turn a trained network into integers, by calibration on images."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnpool.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.console import Console
    from rich.status import Status
    from rich.table import Table
    from torch import nn

    from rnnpool.eval.sets import DatasetName
    from rnnpool.integer.convert import Conversion
    from rnnpool.models.detector import Detector

EPILOG = """\
MODEL is a registered name, or module:function of yours that returns a trained torch module (with --input).
The images need no labels: some dozens of the kind that the network will see. A fourth of them chooses how the ranges
of the activations are set, unless --ranges says it.

examples:
  rnnpool quantize face-tiny --calibrate photos --out face-tiny-int8.safetensors
  rnnpool quantize face-tiny --calibrate photos --evaluate WIDER_FACE --report
  rnnpool quantize my_nets:trained --input 3x96x96 --calibrate photos

--evaluate measures the float and the integer network on WIDER FACE's val split, or on any set that rnnpool evaluate
takes. --report adds the error of every layer: "network" with all layers in integers, "alone" with that layer only.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("model", metavar="MODEL", help="a registered name, or module:function")
    parser.add_argument("--calibrate", metavar="DIR", type=Path, required=True, help="a folder of images")
    parser.add_argument("--images", metavar="N", type=int, default=64, help="use this many of them (default: 64)")
    parser.add_argument("--weights", metavar="FILE", help="a .safetensors file (default: those of the package)")
    parser.add_argument("--input", metavar="CxHxW", help="shape of an image (default: the network's own)")
    parser.add_argument("--ranges", metavar="HOW", help="minmax, 'percentile 99.99', 'percentile 99.9' or mse")
    parser.add_argument(
        "--state-bits",
        type=int,
        choices=(8, 16),
        default=16,
        help="of what RNNPool keeps between rows: 8 take half of its RAM (default: 16)",
    )
    parser.add_argument("--out", metavar="FILE", type=Path, help="default: MODEL-int8.safetensors")
    parser.add_argument("--evaluate", metavar="DIR", type=Path, help="measure average precision on this data set")
    parser.add_argument("--report", action="store_true", help="print the error of every layer")


def run(args: argparse.Namespace) -> int:
    from rnnpool.commands.evaluate import find_dataset
    from rnnpool.cost.source import input_shape
    from rnnpool.cost.tables.render import console
    from rnnpool.integer.convert import convert
    from rnnpool.integer.images import choose_images
    from rnnpool.integer.storage import save_network
    from rnnpool.models.detector import Detector

    module, registered, view = _load(args.model, args.weights)
    shape = input_shape(args.model, args.input, registered)
    dataset = None if args.evaluate is None else find_dataset(args.evaluate)
    if dataset is not None and not isinstance(module, Detector):
        raise InputError(f"--evaluate measures detectors; {args.model} is a {type(module).__name__}")
    out = args.out or Path(f"{args.model.replace(':', '-')}-int8.safetensors")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; it must be a file")
    paths = choose_images(args.calibrate, args.images)
    with _status("calibrating"):
        images = _prepare(module, shape, paths, view)
        conversion = convert(
            _viewed(module, view),
            shape,
            images,
            name=getattr(module, "registry_name", None),
            method=args.ranges,
            narrow=args.state_bits == 8,
            metadata={"weights": Path(args.weights or "default").name, "calibrated_on": args.calibrate.name},
        )
    save_network(conversion.network, out)
    screen = console()
    if args.report:
        with _status("measuring every layer"):
            table = _layers(conversion)
        screen.print(table)
    _print_summary(screen, conversion, out)
    if dataset is not None:
        assert isinstance(module, Detector)
        _print_precision(screen, module, conversion, *dataset)
    return 0


def _load(name: str, weights: str | None) -> tuple["nn.Module", tuple[int, int, int] | None, dict[str, Any]]:
    """The trained module, the shape of its images, and how a classifier sees them (its training's ``ViewRecipe``)."""
    from rnnpool.cost.source import load_network
    from rnnpool.models import create_model, model_info
    from rnnpool.models.weights import read_weights, shipped_weights

    if ":" in name:
        if weights is not None:
            raise InputError(f"--weights belongs to registered networks; {name} is to return a trained one")
        return *load_network(name), {}
    shape = model_info(name).input_size
    path = shipped_weights(name) if weights is None else Path(weights)
    metadata = read_weights(path)[1]
    view = json.loads(metadata.get("view", "{}"))
    module = create_model(name, weights=path, **json.loads(metadata.get("model_options", "{}")))
    if view:
        shape = (view["channels"], view["size"], view["size"])
    return module, shape, view


def _prepare(
    module: "nn.Module", shape: tuple[int, int, int], paths: list[Path], view: dict[str, Any]
) -> list["NDArray"]:
    """The images as the network sees them in use: whole for a detector, the middle for all others."""
    from rnnpool.integer.images import CENTRE, centre_crops, whole_images
    from rnnpool.models.detector import Detector

    channels, *size = shape
    if isinstance(module, Detector):
        return whole_images(paths, channels, (size[0], size[1]), max(module.head.strides))
    return centre_crops(paths, channels, (size[0], size[1]), view.get("test_crop", CENTRE))


def _viewed(module: "nn.Module", view: dict[str, Any]) -> "nn.Module":
    """The module as one of (v - 128) / 128, which is what integer networks take."""
    from rnnpool.integer.module import Viewed

    usual = {128.0} >= {*view.get("mean", ()), *view.get("std", ())}
    return module if usual else Viewed(module, view["mean"], view["std"])


def _print_summary(screen: "Console", conversion: "Conversion", out: Path) -> None:
    from rnnpool.integer.network import flash_bytes

    chosen = conversion.method
    tried = [f"{name} {sqnr:.1f} dB{' (kept)' * (name == chosen)}" for name, sqnr in conversion.sqnr.items()]
    entries = conversion.network.metadata
    screen.print(f"ranges by       {', '.join(tried)}: error of the outputs", highlight=False)
    screen.print(f"images          {entries['images']}", highlight=False)
    for what, count in flash_bytes(conversion.network).items():
        screen.print(f"{what:<16}{count:>9,} bytes", highlight=False)
    screen.print(f"written         {out}", highlight=False, soft_wrap=True)


def _layers(conversion: "Conversion") -> "Table":
    from rich.table import Table

    from rnnpool.integer.network import ChannelScales
    from rnnpool.integer.report import layer_errors

    network = conversion.network
    table = Table(title=f"{network.name} in integers", title_justify="left", box=None, pad_edge=False)
    for header in ("layer", "kind", "output", "stored"):
        table.add_column(header, no_wrap=True)
    for header in ("from", "to", "network dB", "alone dB", "cut"):
        table.add_column(header, justify="right", no_wrap=True)
    kinds = [layer.kind for layer in conversion.real.layers][1:]
    for kind, entry in zip(kinds, layer_errors(conversion.real, network, conversion.held_out), strict=True):
        output = entry.node.output
        if isinstance(output, ChannelScales):
            stored, low, high = "int16", "", ""
        else:
            stored = f"uint8, 0 = {output.zero_point}"
            low, high = (f"{edge:.2f}" for edge in output.ends)
        numbers = (low, high, f"{entry.sqnr:.1f}", f"{entry.own_sqnr:.1f}", f"{entry.cut:.2%}")
        table.add_row(entry.node.name, kind, "x".join(map(str, entry.node.shape)), stored, *numbers)
    return table


def _print_precision(
    screen: "Console", module: "Detector", conversion: "Conversion", root: Path, dataset: "DatasetName"
) -> None:
    from rich.table import Table

    from rnnpool.commands.evaluate import progress_bar
    from rnnpool.eval.sets import open_evaluation
    from rnnpool.integer.detector import IntDetector

    area = module.input_size[0] * module.input_size[1]
    with progress_bar("reading") as progress:
        evaluation = open_evaluation(dataset, root, channels=module.in_channels, area=area, progress=progress)
    results = []
    for name, model in (("float", module), ("int8", IntDetector(conversion.network, module.head))):
        with progress_bar(f"detecting, {name}") as progress:
            curves = evaluation.curves(evaluation.detect(model, progress=progress))
        results.append({level: curve.average_precision for level, curve in curves.items()})
    table = Table(title=f"average precision on {root.name}", title_justify="left", box=None, pad_edge=False)
    table.add_column("level")
    for header in ("float", "int8", "difference"):
        table.add_column(header, justify="right")
    for level, before in results[0].items():
        after = results[1][level]
        table.add_row(level, f"{before:.4f}", f"{after:.4f}", f"{after - before:+.4f}")
    screen.print(table)


def _status(what: str) -> "Status":
    from rich.console import Console

    return Console(file=sys.stderr).status(what)
