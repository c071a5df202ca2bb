"""``rnnpool suggest``: the RNNPool that lowers a network's peak memory most."""

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnpool.surgery.suggest import Figures, Proposal

EPILOG = """\
examples:
  rnnpool suggest mobilenet_v2                                   a network of the package
  rnnpool suggest mynets:build --input 3x160x160                 what build() of mynets.py returns
  rnnpool suggest torchvision.models:resnet18 --input 3x224x224 --by rows

"standard" is the peak by the RNNPool paper's convention: whole maps, one block after another, an RNNPool's input not
counted; "rows" that of the best plan by rows, in which ordinary layers, too, keep only the rows that they still need.
Figures are those of one image; multiply-adds as rnnpool's own layer does them, sharing work between patches.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("model", metavar="MODEL", help="a network's name, or module:function of your own")
    parser.add_argument("--input", metavar="CxHxW", help="the input's size (default: the network's own)")
    parser.add_argument("--dtype", default="int8", help="of the maps (default: int8)")
    parser.add_argument(
        "--by", choices=("standard", "rows"), default="standard", help="peak to lower (default: standard)"
    )
    parser.add_argument(
        "--hidden", type=int, metavar="H", help="hidden size of the RNNPools (default: by the channels)"
    )
    parser.add_argument("--stride", type=int, default=4, metavar="S", help="the largest to propose (default: 4)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> int:
    from rnnpool.cost.source import input_shape, load_network
    from rnnpool.errors import InputError
    from rnnpool.surgery.suggest import suggest

    for option, smallest in (("hidden", 1), ("stride", 2)):
        if (value := getattr(args, option)) is not None and value < smallest:
            raise InputError(f"--{option} is {value}; it must be at least {smallest}")
    network, registered = load_network(args.model)
    size = input_shape(args.model, args.input, registered)
    suggestion = suggest(network, size, dtype=args.dtype, plan=args.by, hidden=args.hidden, largest_stride=args.stride)
    now, proposals = suggestion.now, suggestion.proposals
    if args.json:
        calls = [proposal.call("model", size) for proposal in proposals]
        entries = [asdict(proposal) | {"call": call} for proposal, call in zip(proposals, calls, strict=True)]
        json.dump({"model": args.model, "input": size, "now": asdict(now), "proposals": entries}, sys.stdout, indent=2)
        print()
        return 0
    print(
        f"{args.model}, input {'x'.join(map(str, size))}, {args.dtype}: the peak ({args.by}) is at {suggestion.peak}."
    )
    if not proposals:
        print("No RNNPool in place of whole modules around it would lower it.")
        return 0
    _print_table(now, proposals)
    print(f"\nThe first one in Python:\n\n{_program(args.model, proposals[0].call('model', size))}")
    return 0


def _print_table(base: "Figures", proposals: "list[Proposal]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("in place of", no_wrap=True)
    table.add_column("RNNPool", no_wrap=True)
    for title in ("standard", "rows", "multiply-adds", "parameters"):
        table.add_column(title, no_wrap=True, justify="right")
    table.add_row("(as it is)", "", *_cells(base, base))
    for proposal in proposals:
        run = proposal.start if proposal.start == proposal.stop else f"{proposal.start} .. {proposal.stop}"
        fit = proposal.fit
        project = f", 1x1 to {fit.out_channels}" if 4 * fit.hidden[1] != fit.out_channels else ""
        layer = f"patch {_pair(fit.kernel)}, stride {_pair(fit.stride)}, h {_pair(fit.hidden)}{project}"
        table.add_row(run, layer, *_cells(proposal.figures, base))
    print()
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def _cells(figures: "Figures", base: "Figures") -> list[str]:
    def change(now: int, before: int) -> str:
        return f" ({now / before - 1:+.0%})" if figures is not base else ""

    return [
        f"{figures.standard / 1024:,.1f} KiB{change(figures.standard, base.standard)}",
        f"{figures.rows / 1024:,.1f} KiB{change(figures.rows, base.rows)}",
        f"{figures.madds / 1e6:,.1f} M{change(figures.madds, base.madds)}",
        f"{figures.parameters / 1e6:,.3f} M{change(figures.parameters, base.parameters)}",
    ]


def _pair(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def _program(model: str, call: str) -> str:
    module, _, function = model.partition(":")
    build = (
        f"from {module} import {function}\n\nmodel = {function}()"
        if function
        else f'\nmodel = rnnpool.create_model("{model}")'
    )
    lines = f"import rnnpool\n{build}\nsmaller = {call}"
    return "\n".join("    " + line if line else "" for line in lines.splitlines())
