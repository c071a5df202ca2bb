"""What an experiment found: a Markdown table beside the paper's figures, the numbers as JSON, and a plot."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rnnpool.errors import InputError
from rnnpool.experiments.chip import ChipCost, chip_table, read_costs
from rnnpool.experiments.costs import RunCost, run_cost
from rnnpool.experiments.definition import Experiment, Run
from rnnpool.experiments.ledger import Entry, Ledger
from rnnpool.experiments.plot import Point, plot_costs
from rnnpool.experiments.statistics import CONFIDENCE, Estimate, estimate, paired_difference
from rnnpool.files import write_text
from rnnpool.train.typed import closest


@dataclass(frozen=True)
class RowResult:
    """One row: values by metric and seed, and what its network costs (a classifier: None until a run is done).

    ``chip`` is what it costs on the emulated chip, or why it cannot run there; None where that was not measured.
    """

    key: str
    label: str
    values: dict[str, dict[int, float]]
    cost: RunCost | None
    chip: ChipCost | str | None = None

    def estimate(self, metric: str) -> Estimate | None:
        return estimate(list(self.values[metric].values()))


@dataclass(frozen=True)
class Report:
    """Rows in the experiment's order, the runs that failed, and those that are not done."""

    experiment: Experiment
    rows: list[RowResult]
    failed: list[Entry]
    missing: list[str]
    entries: list[Entry]
    command: str


def make_report(experiment: Experiment, runs: Sequence[Run], out: Path, command: str) -> Report:
    """Gather what the ledger in ``out`` has of these runs; runs of other budgets are left out."""
    found = Ledger(out / "results.jsonl").entries()
    rows, on_chip = [], read_costs(out)
    for key, row in experiment.rows.items():
        done = [run for run in runs if run.row == key and found.get(run.name, {}).get("status") == "done"]
        values = {metric: {run.seed: _value(found[run.name], metric) for run in done} for metric in experiment.metrics}
        first = next(iter(done), None) or next(run for run in runs if run.row == key)
        rows.append(RowResult(key, row.label, values, _cost(first, out), on_chip.get(key)))
    entries = [found[run.name] for run in runs if run.name in found]
    failed = [entry for entry in entries if entry["status"] == "failed"]
    missing = [run.name for run in runs if run.name not in found]
    return Report(experiment, rows, failed, missing, entries, command)


def _value(entry: Entry, metric: str) -> float:
    measured = entry["metrics"]
    if metric not in measured:
        raise InputError(f"metrics.{metric}: {entry['run']} was not measured by it; {closest(metric, list(measured))}")
    return measured[metric]


def _cost(run: Run, out: Path) -> RunCost | None:
    try:
        return run_cost(run.recipe, out / run.name / "final.safetensors")
    except InputError:  # a classifier that is not trained yet
        return None


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write NAME.md, NAME.json and, where a row is done, NAME.png into ``folder``; the paths."""
    name = report.experiment.name
    paths = [folder / f"{name}.json", folder / f"{name}.md"]
    write_text(paths[0], json.dumps(_numbers(report), indent=1) + "\n")
    main = _main(report)
    points = [
        Point(row.label, found, row.cost.standard_ram, row.cost.madds)
        for row in report.rows
        if (found := row.estimate(main)) and row.cost and row.cost.standard_ram and row.cost.madds
    ]
    if points:
        paths.append(folder / f"{name}.png")
        plot_costs(points, report.experiment.title, report.experiment.metrics[main], paths[-1])
    write_text(paths[1], markdown(report, f"{name}.png" if points else None))
    return paths


def markdown(report: Report, picture: str | None = None) -> str:
    """The report as a page."""
    experiment = report.experiment
    lines = [f"# {experiment.title}", ""]
    if experiment.notes:
        lines += [experiment.notes.strip(), ""]
    lines += [f"Made by `{report.command}`.", "", *_table(report), ""]
    lines += [f"In percent; mean over seeds ± half of the {CONFIDENCE:.0%} confidence interval (Student's t)."]
    if experiment.reference:
        label = experiment.rows[experiment.reference].label
        lines += [f"“To {label}” is the difference seed by seed, so that it can be surer than either mean."]
    lines += [
        "MAdds: as the paper counts / as computed. RAM: the paper's convention in float32 / streamed by rows in int8."
    ]
    lines += [f"`{row.key}`: not counted, {row.cost.missing}" for row in report.rows if row.cost and row.cost.missing]
    if picture:
        lines += ["", f"![Accuracy against memory and multiply-adds]({picture})"]
    if any(row.chip for row in report.rows):
        measured = [(row.key, row.label, row.chip) for row in report.rows if row.chip]
        lines += ["", "## On the chip", "", *chip_table(measured, report.command)]
    if report.failed:
        lines += ["", "## Runs that failed", ""]
        lines += [f"- `{e['run']}`: exit status {e['exit']}, {' '.join(e['message'])}" for e in report.failed]
    if report.missing:
        lines += ["", "## Runs not done", "", *(f"- `{name}`" for name in report.missing)]
    return "\n".join(lines) + "\n"


def _table(report: Report) -> list[str]:
    experiment = report.experiment
    by_key = {row.key: row for row in report.rows}
    head = ["", "seeds"]
    for metric, label in experiment.metrics.items():
        head += [label]
        if _has_paper(experiment, metric):
            head += [f"{label}, paper"]
    main = _main(report)
    reference = by_key[experiment.reference] if experiment.reference else None
    if reference:
        head += [f"to {reference.label}"]
    head += ["parameters", "MAdds, M", "RAM, KiB"]
    body = []
    for row in report.rows:
        estimates = {metric: row.estimate(metric) for metric in experiment.metrics}
        cells = [row.label, str(len(row.values[main]))]
        for metric, found in estimates.items():
            cells += [str(found) if found else "-"]
            if _has_paper(experiment, metric):
                paper = experiment.rows[row.key].paper.get(metric)
                cells += [f"{100 * paper:.2f}" if paper is not None else ""]
        if reference:
            difference = paired_difference(row.values[main], reference.values[main]) if row is not reference else None
            cells += [f"{'+' if difference.mean >= 0 else ''}{difference}" if difference else ""]
        body.append([*cells, *_cost_cells(row.cost)])
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *body)]


def _cost_cells(cost: RunCost | None) -> list[str]:
    if cost is None:
        return ["-", "-", "-"]
    if cost.madds is None or cost.madds_paper is None or cost.standard_ram is None or cost.streamed_ram is None:
        return [f"{cost.parameters:,}", "-", "-"]
    madds = f"{_short(cost.madds_paper / 1e6)} / {_short(cost.madds / 1e6)}"
    return [f"{cost.parameters:,}", madds, f"{_short(cost.standard_ram / 1024)} / {_short(cost.streamed_ram / 1024)}"]


def _short(value: float) -> str:
    """Three digits, more where they stand before the point: 0.0108, 1.25, 33.7, 1,240."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _numbers(report: Report) -> dict[str, Any]:
    """For JSON: what the table was made of."""
    rows = {
        row.key: {
            "label": row.label,
            "values": row.values,
            "cost": asdict(row.cost) if row.cost else None,
            "chip": asdict(row.chip) if isinstance(row.chip, ChipCost) else row.chip,
        }
        for row in report.rows
    }
    runs = [{name: value for name, value in entry.items() if name != "data"} for entry in report.entries]
    return {"experiment": report.experiment.name, "command": report.command, "rows": rows, "runs": runs}


def _main(report: Report) -> str:
    return next(iter(report.experiment.metrics))


def _has_paper(experiment: Experiment, metric: str) -> bool:
    return any(metric in row.paper for row in experiment.rows.values())
