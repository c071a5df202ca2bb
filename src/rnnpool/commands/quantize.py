"""``rnnpool quantize``: turn a trained network into integers, by calibration on images."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rnnpool.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.status import Status
    from rich.table import Table

    from rnnpool.commands.quantize_subject import Subject
    from rnnpool.integer.convert import Conversion

EPILOG = """\
MODEL is a registered name, or module:function of yours that returns a trained torch module (with --input).
The images need no labels: some dozens of the kind that the network will see. A fourth of them chooses how the ranges
of the activations are set, unless --ranges says it. Weights that were trained through the rounding of integers
(rnnpool train ... train.quantize=true) bring the ranges that they were fitted to.

examples:
  rnnpool quantize face-tiny --calibrate photos --out face-tiny-int8.safetensors
  rnnpool quantize face-tiny --calibrate photos --evaluate WIDER_FACE --report
  rnnpool quantize --weights runs/pictures/best.safetensors --calibrate pictures --evaluate pictures
  rnnpool quantize my_nets:trained --input 3x96x96 --calibrate photos

--evaluate measures the float and the integer network on the val split of a set that rnnpool evaluate takes: average
precision of a detector, accuracy of a classifier. --report adds the error of every layer: "network" with all layers in
integers, "alone" with that layer only.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="a registered name, or module:function (default: that of --weights)"
    )
    parser.add_argument("--calibrate", metavar="DIR", type=Path, required=True, help="a folder of images")
    parser.add_argument("--images", metavar="N", type=int, default=64, help="use this many of them (default: 64)")
    parser.add_argument("--weights", metavar="FILE", help="a .safetensors file (default: those of the package)")
    parser.add_argument("--input", metavar="CxHxW", help="shape of an image (default: the network's own)")
    parser.add_argument("--ranges", metavar="HOW", help="minmax, 'percentile 99.99', 'percentile 99.9' or mse")
    parser.add_argument(
        "--state-bits",
        type=int,
        choices=(8, 16),
        help="of what RNNPool keeps between rows: 8 take half of its RAM (default: as it was trained for, else 16)",
    )
    parser.add_argument(
        "--nibbles",
        metavar="PIXELS",
        type=int,
        help="weights of 4 bits in 1x1 convolutions with at most PIXELS results a channel: less flash (default: as it "
        "was trained for, else 0)",
    )
    parser.add_argument("--out", metavar="FILE", type=Path, help="default: MODEL-int8.safetensors")
    parser.add_argument("--evaluate", metavar="DIR", type=Path, help="measure both networks on this data set")
    parser.add_argument("--report", action="store_true", help="print the error of every layer")


def run(args: argparse.Namespace) -> int:
    from rnnpool.commands.quantize_subject import choose_images, load_subject, open_measure
    from rnnpool.cost.tables.render import console
    from rnnpool.integer.storage import save_network

    if args.nibbles is not None and args.nibbles < 0:
        raise InputError(f"--nibbles is {args.nibbles}; it must be a number of pixels, 0 or more")
    subject = load_subject(args.model, args.weights, args.input)
    out = args.out or Path(f"{subject.name.replace(':', '-')}-int8.safetensors")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; it must be a file")
    paths = choose_images(args.calibrate, args.images)
    measure = None if args.evaluate is None else open_measure(subject, args.evaluate)
    with _status("calibrating"):
        conversion = _convert(args, subject, paths)
    save_network(conversion.network, out)
    screen = console()
    if args.report:
        with _status("measuring every layer"):
            table = _layers(conversion)
        screen.print(table)
    _print_summary(screen, conversion, out)
    if measure is not None:
        _print_comparison(screen, f"on {args.evaluate.name}", measure(None), measure(conversion.network))
    return 0


def _convert(args: argparse.Namespace, subject: "Subject", paths: list[Path]) -> "Conversion":
    """With the ranges of the weights' training, if it had any and no others are asked for."""
    from rnnpool.integer.convert import convert, convert_calibrated

    images = subject.images(paths)
    name = getattr(subject.module, "registry_name", None)
    entries = {"weights": Path(args.weights or "default").name, "calibrated_on": args.calibrate.name, **subject.entries}
    trained = subject.calibrated
    state_bits = args.state_bits or (8 if trained and trained.narrow else 16)
    nibbles = args.nibbles if args.nibbles is not None else trained.nibbles if trained else 0
    if trained and args.ranges is None:
        chosen = replace(trained, narrow=state_bits == 8, nibbles=nibbles)
        entries["ranges_of"] = "training"
        return convert_calibrated(subject.viewed, subject.shape, images, chosen, name=name, metadata=entries)
    return convert(
        subject.viewed,
        subject.shape,
        images,
        nibbles=nibbles,
        name=name,
        method=args.ranges,
        narrow=state_bits == 8,
        metadata=entries,
    )


def _print_summary(screen: "Console", conversion: "Conversion", out: Path) -> None:
    from rnnpool.integer.network import flash_bytes

    entries, chosen = conversion.network.metadata, conversion.method
    tried = [f"{name} {sqnr:.1f} dB{' (kept)' * (name == chosen)}" for name, sqnr in conversion.sqnr.items()]
    where = " in training" if "ranges_of" in entries else ""
    screen.print(f"ranges by       {', '.join(tried)}{where}: error of the outputs", highlight=False)
    screen.print(f"images          {entries['images']}", highlight=False)
    if "widened" in entries:
        screen.print(f"wider ranges    {entries['widened']} (times the chosen; 16 bits would not hold their results)")
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


def _print_comparison(
    screen: "Console", where: str, before: "Mapping[str, float]", after: "Mapping[str, float]"
) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(where)
    for header in ("float", "int8", "difference"):
        table.add_column(header, justify="right")
    for name, value in before.items():
        table.add_row(name, f"{value:.4f}", f"{after[name]:.4f}", f"{after[name] - value:+.4f}")
    screen.print(table)


def _status(what: str) -> "Status":
    from rich.console import Console

    return Console(file=sys.stderr).status(what)
