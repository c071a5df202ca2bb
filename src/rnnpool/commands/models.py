"""``rnnpool models``: the table of networks."""

import argparse
import sys

EPILOG = """\
examples:
  rnnpool models                every network
  rnnpool models 'face-*'       those whose name fits the pattern (* any text, ? any character)

"weights: yes" means that trained weights come with the package; the others start at random.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("pattern", metavar="PATTERN", nargs="?", default="*", help="list only names that fit")


def run(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    from rnnpool.errors import InputError
    from rnnpool.models import create_model, list_models, model_info

    names = list_models(args.pattern)
    if not names:
        raise InputError(f"no model fits {args.pattern!r}; rnnpool models lists all {len(list_models())}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    table.add_column("task", no_wrap=True)
    table.add_column("input", no_wrap=True, justify="right")
    table.add_column("parameters", no_wrap=True, justify="right")
    table.add_column("weights", no_wrap=True)
    table.add_column("summary")
    for name in names:
        table.add_row(*_row(name))
    # A pipe has no width; there the lines stay whole, one network each.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 240).print(table)
    return 0
