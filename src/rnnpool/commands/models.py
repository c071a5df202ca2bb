"""``rnnpool models``: the table of networks."""

import argparse
import sys

EPILOG = """\
examples:
  rnnpool models                every network, detectors first
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
    from rnnpool.models import list_models, model_info

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
    names.sort(key=lambda name: (model_info(name).task != "detection", name))
    with Console(stderr=True).status("counting parameters"):
        for name in names:
            table.add_row(*_row(name))
    # A pipe has no width; there the lines stay whole, one network each.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 240, highlight=False).print(table)
    return 0


def _row(name: str) -> tuple[str, ...]:
    import torch

    from rnnpool.models import create_model, model_info
    from rnnpool.models.weights import find_shipped_weights

    info = model_info(name)
    with torch.device("meta"):  # shapes alone: nothing is allocated or drawn at random
        network = create_model(name)
    channels, height, width = info.input_size or (None, None, None)
    size = f"{width}x{height} {'grey' if channels == 1 else 'RGB'}" if channels else "any"
    parameters = f"{sum(p.numel() for p in network.parameters()):,}"
    shipped = "yes" if find_shipped_weights(name) else "no"
    return name, info.task, size, parameters, shipped, info.summary
