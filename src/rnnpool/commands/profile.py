"""``rnnpool profile``: what a network costs, layer by layer."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from rnnpool.cost.profile import Profile

EPILOG = """\
examples:
  rnnpool profile face-tiny                                a registered network at its own input size, in int8
  rnnpool profile densenet121 --dtype float32 --plot memory.png
  rnnpool profile my_nets:build --input 1x96x96 --json     a function of yours that returns a torch module

Memory is that of activations: weights, which a microcontroller keeps in flash, are not in it.
  standard        the RNNPool paper's convention (its appendix E.2), which leaves much out
  layer by layer  every map whole, each freed after its last use
  bound for rows  proved: no order of whole rows that computes each once needs less
  rows            rows through rings from the camera on, whole maps only behind the cuts that pay (see docs/cost.md)
"""

HEADERS = ("layer", "operators", "output", "parameters", "MAdds, M", "map", "whole maps", "kept by rows", "phase")
WIDE_ONLY = ("operators", "phase")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("model", metavar="MODEL", help="a registered name, or module:function")
    parser.add_argument("--input", metavar="CxHxW", help="shape of an image (default: the network's own)")
    parser.add_argument("--dtype", default="int8", help="of activations: int8, int16, float16, float32 (default: int8)")
    parser.add_argument("--state-dtype", metavar="DTYPE", help="of recurrent states (default: as --dtype)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--plot", metavar="FILE", type=Path, help="draw the plan: memory over time, each buffer (.png, .svg or .pdf)"
    )


def run(args: argparse.Namespace) -> int:
    from rnnpool.cost.profile import profile
    from rnnpool.cost.source import input_shape, load_network

    network, registered = load_network(args.model, values=False)
    shape = input_shape(args.model, args.input, registered)
    result = profile(network, shape, dtype=args.dtype, state=args.state_dtype)
    if args.plot is not None:
        from rnnpool.cost.picture import draw_plan

        draw_plan(result.picture, args.plot)
    if args.json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        _print(result)
        if args.plot is not None:
            print(f"memory over time: {args.plot}")
    return 0


def _print(result: "Profile") -> None:
    from rnnpool.cost.tables.render import console, fits

    screen = console()
    table = layers_table(result)
    screen.print(table if fits(table) else layers_table(result, narrow=True))
    for line in summary(result):
        screen.print(line, markup=False, highlight=False, soft_wrap=True)


def layers_table(result: "Profile", *, narrow: bool = False) -> "Table":
    """A line a layer; ``narrow``: without the operators' kinds and the phases."""
    from rich.table import Table

    shape = "x".join(map(str, result.graph.image.shape))
    title = f"{result.graph.name} at {shape}, {result.rows.precision.name}; memory in KiB"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    wanted = [i for i, header in enumerate(HEADERS) if not (narrow and header in WIDE_ONLY)]
    for i in wanted:
        table.add_column(HEADERS[i], justify="left" if i < 3 else "right", no_wrap=True)
    peak = max(layer.whole_bytes for layer in result.layers)
    for layer in result.layers:
        mark = " <- peak" if layer.whole_bytes == peak else ""
        cells = (
            layer.name,
            ", ".join(layer.operators),
            "x".join(map(str, layer.shape)),
            f"{layer.parameters:,}" if layer.parameters else "",
            f"{layer.madds.shared / 1e6:,.3f}" if layer.madds.shared else "",
            f"{layer.map_bytes / 1024:,.1f}",
            f"{layer.whole_bytes / 1024:,.1f}{mark}",
            f"{layer.row_bytes / 1024:,.1f}",
            str(layer.phase + 1),
        )
        table.add_row(*(cells[i] for i in wanted), style="bold" if mark else None)
    return table


def summary(result: "Profile") -> list[str]:
    """The totals, a line each."""
    from rnnpool.cost.profile import TILE

    madds = result.cost.madds
    lines = ["", f"parameters      {result.cost.parameters:>14,}", f"multiply-adds   {madds.shared:>14,}"]
    if madds.alone != madds.shared:
        lines[-1] += f"   (every patch alone {madds.alone:,}; as the paper counts {madds.paper:,})"
    largest = result.cost.largest
    lines.append(f"largest map     {largest.size:>14,}   numbers: {largest.name} {'x'.join(map(str, largest.shape))}")
    block = result.standard.block
    cuts = [result.rows.steps[phase.start].name for phase in result.rows.phases[1:]]
    how = f"whole maps before {', '.join(cuts)}" if cuts else "rows from the camera to the outputs"
    lines += [
        "peak RAM, bytes",
        f"  standard      {result.standard.peak:>14,}   at {block.kind} {block.name}",
        f"  layer by layer{result.whole.peak:>14,}",
        f"  rows          {result.rows.peak:>14,}   {how}",
        f"                                 arena {result.rows.placement.quality}",
        f"  rows by {TILE} px  {result.tiles.peak:>14,}   {TILE} columns of an arriving row at a time",
        f"  bound for rows{result.bound.bytes:>14,}   when {result.bound.moment}; the plan is"
        f" {result.rows.peak / max(1, result.bound.bytes) - 1:.0%} above it",
    ]
    if result.rows.forced_maps:
        names = ", ".join(step.name for step in result.rows.forced_maps)
        lines.append(f"kept whole whatever the plan (a global operator needs every row first): {names}")
    return lines
