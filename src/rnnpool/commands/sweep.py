"""``rnnpool sweep``: sizes of RNNPool in a network, multiply-adds against memory."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rnnpool.errors import InputError

if TYPE_CHECKING:
    from rnnpool.cost.sweep import Sweep

EPILOG = """\
examples:
  rnnpool sweep mobilenet_v2-rnnpool
  rnnpool sweep mobilenet_v2_035-rnnpool --patch 4,6,8 --hidden 4,8,16 --size 96,144,224 --plot front.png
  rnnpool sweep mobilenet_v2_035-rnnpool --ram 32768 --madds 20        what fits into 32 KiB and 20 million
  rnnpool sweep mobilenet_v2-rnnpool --by standard --plot front.png    memory as the paper counts it

Memory is the peak of the plan by rows, or with --by standard that of the paper's convention, as in its figure 3 (see
rnnpool profile); multiply-adds are what is executed. All four sizes cost both, so the smallest network is always the
cheapest; accuracy, for which one pays, grows with the image and the hidden sizes (table 16 of the paper). Stars mark
what is worth training: no other network of the grid with as large an image and as large hidden sizes costs less.
"""

FLAGS = {"patch": "kernel", "stride": "stride", "hidden": "hidden", "size": "input_size"}
DEFAULTS = {"patch": "4,6,8", "stride": "4", "hidden": "8,16,32", "size": "96,160,224"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("model", metavar="MODEL", help="a registered network whose name ends in -rnnpool")
    what = {"patch": "sides of the patch", "stride": "strides", "hidden": "hidden sizes", "size": "input sizes"}
    for flag, text in what.items():
        parser.add_argument(
            f"--{flag}", metavar="N,N", default=DEFAULTS[flag], help=f"{text} (default: {DEFAULTS[flag]})"
        )
    parser.add_argument(
        "--by", choices=("rows", "standard"), default="rows", help="the memory that stars, --ram and --plot go by"
    )
    parser.add_argument("--ram", type=int, metavar="BYTES", help="leave out networks that need more")
    parser.add_argument("--madds", type=float, metavar="MILLIONS", help="leave out networks that compute more")
    parser.add_argument("--dtype", default="int8", help="of activations and states (default: int8)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw all points and the front")


def run(args: argparse.Namespace) -> int:
    grid = {option: _numbers(flag, getattr(args, flag)) for flag, option in FLAGS.items()}

    from rnnpool.cost.sweep import run_sweep

    result = run_sweep(args.model, grid, dtype=args.dtype, by=args.by)
    if not result.points:
        raise InputError(f"no network of the grid can be built; the first: {result.impossible[0]}")
    result = _within(result, args.ram, args.madds)
    front = set(map(id, result.front))
    points = sorted(result.points, key=lambda point: point.madds)
    if args.plot is not None:
        from rnnpool.cost.plot import plot_sweep

        plot_sweep(args.model, result, args.plot)
    if args.json:
        rows = [
            {**p.settings, "parameters": p.parameters, "madds": p.madds, "ram": p.ram,
             "rows": p.rows, "standard": p.standard, "front": id(p) in front}
            for p in points
        ]  # fmt: skip
        print(json.dumps({"network": args.model, "points": rows, "impossible": list(result.impossible)}, indent=2))
        return 0
    from rich.table import Table

    from rnnpool.cost.tables.render import console

    table = Table(title=f"{args.model}, {args.dtype}", box=None, pad_edge=False)
    for header in ("", "patch", "stride", "hidden", "input", "parameters", "MAdds", "rows, bytes", "standard"):
        table.add_column(header, justify="right", no_wrap=True)
    for point in points:
        settings = [str(point.settings[option]) for option in FLAGS.values()]
        costs = [f"{value:,}" for value in (point.parameters, point.madds, point.rows, point.standard)]
        table.add_row("*" if id(point) in front else "", *settings, *costs)
    screen = console()
    screen.print(table)
    screen.print("* no other with as large an image and hidden sizes costs less", markup=False, highlight=False)
    for line in result.impossible:
        screen.print(f"not possible: {line}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _within(result: "Sweep", ram: int | None, madds: float | None) -> "Sweep":
    """The points that fit."""
    fitting = [
        point
        for point in result.points
        if (ram is None or point.ram <= ram) and (madds is None or point.madds <= madds * 1e6)
    ]
    if not fitting:
        point = min(result.points, key=lambda point: point.ram)
        raise InputError(
            f"nothing fits: the network of the grid with least memory ({point.label}) needs {point.ram:,} bytes and"
            f" {point.madds / 1e6:,.1f} million multiply-adds"
        )
    return replace(result, points=tuple(fitting))


def _numbers(flag: str, text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"--{flag} is {text!r}; it must be positive numbers with commas between them, such as 4,8")
    return [int(part) for part in parts]
