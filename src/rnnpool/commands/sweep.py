"""``rnnpool sweep``: sizes of RNNPool in a network, multiply-adds against memory."""

import argparse
import json
from pathlib import Path

from rnnpool.errors import InputError

EPILOG = """\
examples:
  rnnpool sweep mobilenet_v2-rnnpool
  rnnpool sweep mobilenet_v2_035-rnnpool --patch 4,6,8 --hidden 4,8,16 --size 96,144,224 --plot front.png

Memory is the peak of the plan by rows (see rnnpool profile); multiply-adds are what is executed. Stars mark the Pareto
front: no other network of the grid has less of both. Accuracy is not part of it.
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
    parser.add_argument("--dtype", default="int8", help="of activations and states (default: int8)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw all points and the front")


def run(args: argparse.Namespace) -> int:
    grid = {option: _numbers(flag, getattr(args, flag)) for flag, option in FLAGS.items()}

    from rnnpool.cost.sweep import run_sweep

    result = run_sweep(args.model, grid, dtype=args.dtype)
    if not result.points:
        raise InputError(f"no network of the grid can be built; the first: {result.impossible[0]}")
    front = set(map(id, result.front))
    points = sorted(result.points, key=lambda point: point.madds)
    if args.plot is not None:
        from rnnpool.cost.plot import plot_sweep

        plot_sweep(args.model, result, args.plot)
    if args.json:
        rows = [
            {**p.settings, "parameters": p.parameters, "madds": p.madds, "ram": p.ram, "front": id(p) in front}
            for p in points
        ]
        print(json.dumps({"network": args.model, "points": rows, "impossible": list(result.impossible)}, indent=2))
        return 0
    from rich.table import Table

    from rnnpool.cost.tables.render import console

    table = Table(title=f"{args.model}, {args.dtype}", box=None, pad_edge=False)
    for header in ("", "patch", "stride", "hidden", "input", "parameters", "MAdds", "RAM, bytes"):
        table.add_column(header, justify="right", no_wrap=True)
    for point in points:
        settings = [str(point.settings[option]) for option in FLAGS.values()]
        costs = [f"{value:,}" for value in (point.parameters, point.madds, point.ram)]
        table.add_row("*" if id(point) in front else "", *settings, *costs)
    screen = console()
    screen.print(table)
    for line in result.impossible:
        screen.print(f"not possible: {line}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _numbers(flag: str, text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"--{flag} is {text!r}; it must be positive numbers with commas between them, such as 4,8")
    return [int(part) for part in parts]
