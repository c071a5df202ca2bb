"""``rnnpool train RECIPE --data DIR [key=value ...]``: train a network from a recipe."""

import argparse
from pathlib import Path
from textwrap import fill

EPILOG = """\
RECIPE is a YAML file or the name of a shipped one. Overrides are section.key=value, for example
  rnnpool train face-tiny --data DIR train.batch_size=32 train.seed=1
Several processes:
  torchrun --nproc-per-node 2 -m rnnpool train RECIPE --data DIR
Written into --out: last.ckpt and previous.ckpt (to resume from), best.safetensors, final.safetensors, metrics.jsonl,
recipe.yaml and TensorBoard's logs (tb/). Ctrl-C or SIGTERM saves first; --resume goes on, also after a crash.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rnnpool.shipped import shipped_files

    names = ", ".join(shipped_files("recipes", ".yaml"))
    parser.epilog = f'{EPILOG}\nShipped recipes ("pictures" is for your own, one folder a class):\n{fill(names, 118)}\n'
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe file, or the name of a shipped recipe")
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="changes to the recipe")
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder that holds the data")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where to write (default: runs/NAME-OF-RECIPE)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")


def run(args: argparse.Namespace) -> int:
    """Exit status 0 when the budget is spent, 128 + signal when a signal stopped the run (its state is saved)."""
    from rnnpool.commands.output import check_folder
    from rnnpool.errors import InputError
    from rnnpool.train.loop import train
    from rnnpool.train.recipe import find_recipe, load_recipe
    from rnnpool.train.tasks import create_task

    path = find_recipe(args.recipe)
    recipe = load_recipe(path, args.overrides)
    if not args.data.is_dir():
        raise InputError(f"--data {args.data}: no such folder")
    out = args.out or Path("runs") / path.stem
    check_folder(out, "--out")  # reading the data may take long
    result = train(recipe, create_task(recipe, args.data), out, resume=args.resume)
    return 128 + result.signum if result.signum and result.step < result.total_steps else 0
