"""``rnnpool tables``: the paper's tables of costs, computed anew."""

import argparse
import json

from rnnpool.errors import InputError

NAMES = {
    "1": "what replaces the early blocks",
    "2": "peak RAM of five architectures",
    "3": "MobileNetV1 on ImageNet-1K",
    "4": "face detectors",
    "5": "detection on a Cortex-M4",
    "8": "least memory without recomputation",
    "16": "sizes of RNNPool",
    "18": "the recurrent cell",
    "E.3": "MAdds to fit by recomputing",
    "rows": "base, baselines and RNNPool when all of them stream by rows",
}

EPILOG = (
    "tables:\n"
    + "\n".join(f"  {name:<5} {what}" for name, what in NAMES.items())
    + """

examples:
  rnnpool tables            all of them
  rnnpool tables 2 rows     two of them
  rnnpool tables --json     in base units (numbers, bytes), for other programs

Costs, not accuracies. "paper" is what Saha et al., NeurIPS 2020, print; "=" means that ours, rounded or cut to as many
digits, is the same. A number in brackets leads to a footnote that says why a figure cannot be reproduced, where that is
known. Figures take up to 112 columns.
"""
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("tables", metavar="TABLE", nargs="*", help="which (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    for name in args.tables:
        if name not in NAMES:
            raise InputError(f"there is no table {name!r}; there are {', '.join(NAMES)}")
    from rnnpool.cost.tables import ours, paper
    from rnnpool.cost.tables.render import console, print_table

    makers = {
        "1": paper.table_1,
        "2": paper.table_2,
        "3": paper.table_3,
        "4": paper.table_4,
        "5": paper.table_5,
        "8": paper.table_8,
        "16": paper.table_16,
        "18": paper.table_18,
        "E.3": ours.recomputation,
        "rows": ours.streaming,
    }
    chosen = [makers[name] for name in args.tables or NAMES]
    if args.json:
        print(json.dumps([make().to_dict() for make in chosen], indent=2))
        return 0
    screen = console()
    for make in chosen:
        print_table(make(), screen)
    return 0
