"""``rnnpool experiment NAME --data DIR [key=value ...]``: train all contenders of a comparison, write its table."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnpool.experiments.definition import Run

EPILOG = """\
NAME is a YAML file or a shipped experiment (experiments/*.yaml; docs/experiments.md lists them). Overrides apply to
every run, for example another budget:
  rnnpool experiment cifar10-pooled --data DIR --jobs 2 train.epochs=20 train.evaluate_every=0

Every run is a process of its own. The same command goes on after Ctrl-C, a crash or kill -9: runs that are done are
skipped, begun ones resume. Written into --out: a folder a run (what rnnpool train writes, and log.txt), results.jsonl
with one line a finished or failed run, and the report NAME.md, NAME.json, NAME.png. Two more for what is done:
  rnnpool experiment probe-lines --scaling s32-h8       where the outputs for lines of all angles lie, as a picture
  rnnpool experiment face-stems --chip                  RAM and instructions of every row's network, in the report
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("experiment", metavar="NAME", help="an experiment file, or the name of a shipped one")
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="changes to the recipes of all runs")
    parser.add_argument("--data", metavar="DIR", type=Path, help="folder that holds the data")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where to write (default: runs/experiments/NAME)")
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="runs at a time (default: 1)")
    parser.add_argument(
        "--threads", metavar="N", type=int, default=0, help="of each run (default: $OMP_NUM_THREADS or cores / jobs)"
    )
    parser.add_argument("--rows", metavar="ROW,...", help="train only these rows")
    parser.add_argument("--results", metavar="DIR", type=Path, help="write the report here instead of --out")
    parser.add_argument("--list", action="store_true", help="show the runs and which are done; train nothing")
    parser.add_argument("--report", action="store_true", help="write the report of what is done; train nothing")
    parser.add_argument("--chip", action="store_true", help="measure every row's network on the emulated chip")
    parser.add_argument("--scaling", metavar="ROW", help="draw where the outputs of this probe of lines lie")


def run(args: argparse.Namespace) -> int:
    """Exit status 0 when all runs are done, 1 when one failed, 128 + signal when a signal stopped it."""
    from rnnpool.commands.output import check_folder
    from rnnpool.errors import InputError
    from rnnpool.experiments.definition import all_runs, load_experiment
    from rnnpool.experiments.ledger import Ledger
    from rnnpool.experiments.report import make_report, write_report
    from rnnpool.experiments.runner import run_all

    experiment = load_experiment(args.experiment)
    out = args.out or Path("runs") / "experiments" / experiment.name
    runs = all_runs(experiment, tuple(args.overrides))
    chosen = set(args.rows.split(",")) if args.rows else set(experiment.rows)
    unknown = sorted(chosen - set(experiment.rows))
    if unknown:
        raise InputError(f"--rows {unknown[0]}: no such row; there are {', '.join(experiment.rows)}")
    if args.list:
        entries = Ledger(out / "results.jsonl").entries()
        for item in runs:
            print(f"{entries.get(item.name, {}).get('status', 'to do'):7} {item.name}  {' '.join(item.overrides)}")
        return 0
    if args.scaling:
        return _draw_scaling(args.scaling, experiment.name, runs, out, args.results or out)
    signum = None
    if args.chip:
        from rnnpool.experiments.chip import measure_rows

        measure_rows([item for item in runs if item.row in chosen], out)
    if not args.report and not args.chip:
        data = Path() if args.data is None and all(item.recipe.task == "probe" for item in runs) else args.data
        if data is None:
            raise InputError("--data DIR is needed: the folder that holds the data")
        if not data.is_dir():
            raise InputError(f"--data {data}: no such folder")
        if args.jobs < 1 or args.threads < 0:
            raise InputError(f"--jobs {args.jobs} must be 1 or more, --threads {args.threads} 0 or more")
        check_folder(out, "--out")
        if args.results:
            check_folder(args.results, "--results")
        wanted = [item for item in runs if item.row in chosen]
        signum = run_all(wanted, data, out, jobs=args.jobs, threads=args.threads, say=_say)
    command = shlex.join(["rnnpool", "experiment", args.experiment, "--data", "DIR", *args.overrides])
    report = make_report(experiment, runs, out, command)
    for path in write_report(report, args.results or out):
        print(path)
    return 128 + signum if signum else 1 if report.failed else 0


def _draw_scaling(row: str, name: str, runs: list["Run"], out: Path, folder: Path) -> int:
    """Write NAME-ROW-scaling.png of the row's first seed into ``folder``."""
    from rnnpool.errors import InputError
    from rnnpool.experiments.scaling import plot_scaling, scale_lines
    from rnnpool.train.typed import closest

    found = [item for item in runs if item.row == row]
    if not found:
        raise InputError(f"--scaling {row}: no such row: {closest(row, sorted({item.row for item in runs}))}")
    scaling = scale_lines(found[0], out / found[0].name / "final.safetensors")
    path = folder / f"{name}-{row}-scaling.png"
    plot_scaling(scaling, f"{name}, {row}: outputs for {len(scaling.angles)} lines", path)
    print(path)
    return 0


def _say(text: str) -> None:
    print(text, flush=True)
