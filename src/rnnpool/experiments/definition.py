"""An experiment as YAML: rows that are compared, each a recipe with changes, trained from several seeds.

    title: what the table is called
    notes: what a reader must know
    recipe: cifar10-pooled             of all rows that name no other; a shipped one or a path
    seeds: [1, 2, 3]
    changes: {train.epochs: 20}        to every run: the budget above all
    metrics: {top1: top-1}             what evaluation gives, and how the table calls it
    reference: rnnpool                 the row that the others are compared with, seed by seed; optional
    rows:
      rnnpool:
        label: RNNPool
        changes: {model.name: pooled-rnnpool}
        paper: {top1: 0.7063}          what the paper prints, in the units of the metric

A run's name is ROW-sSEED-HASH, where the hash is of everything that decides what the run computes: with another budget
it is another run.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rnnpool.errors import InputError
from rnnpool.shipped import shipped_files
from rnnpool.train.recipe import Recipe, find_recipe, load_recipe
from rnnpool.train.typed import closest, from_mapping


@dataclass(frozen=True)
class Row:
    """One contender; what is None or empty is the experiment's."""

    label: str
    changes: dict[str, Any] = field(default_factory=dict)
    recipe: str | None = None
    seeds: tuple[int, ...] = ()
    paper: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """What the file says; ``name`` is the file's."""

    name: str
    title: str
    rows: dict[str, Row]
    metrics: dict[str, str]
    recipe: str | None = None
    seeds: tuple[int, ...] = (1,)
    changes: dict[str, Any] = field(default_factory=dict)
    reference: str | None = None
    notes: str = ""


@dataclass(frozen=True)
class Run:
    """One training: a row, a seed, and what ``rnnpool train`` is called with."""

    row: str
    seed: int
    recipe_path: Path
    overrides: tuple[str, ...]
    recipe: Recipe

    @property
    def name(self) -> str:
        computes = json.dumps(self.recipe.what_it_computes(), sort_keys=True)
        return f"{self.row}-s{self.seed}-{hashlib.sha256(computes.encode()).hexdigest()[:8]}"


def load_experiment(name: str) -> Experiment:
    """Read an experiment: a path, or the name of a shipped one.

    Raises:
        InputError: no such file, unknown or missing fields, or a reference that is no row.
    """
    path = _find(name)
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"experiment {path} cannot be read: {error}") from error
    if not isinstance(mapping, dict) or not isinstance(mapping.get("rows"), dict):
        raise InputError(f"experiment {path} must hold title, metrics and rows")
    rows = {str(key): from_mapping(Row, value, f"rows.{key}") for key, value in mapping["rows"].items()}
    fields = {key: value for key, value in mapping.items() if key != "rows"}
    for key in fields:
        if key not in Experiment.__dataclass_fields__ or key == "name":
            raise InputError(f"{path}: unknown field {key}: {closest(str(key), list(Experiment.__dataclass_fields__))}")
    experiment = from_mapping(Experiment, {"name": path.stem, "rows": {}, **fields}, str(path))
    experiment = Experiment(**{**experiment.__dict__, "rows": rows})
    if experiment.reference is not None and experiment.reference not in rows:
        raise InputError(
            f"{path}: reference {experiment.reference!r} is no row: {closest(experiment.reference, list(rows))}"
        )
    for key, row in rows.items():
        for metric in row.paper:
            if metric not in experiment.metrics:
                raise InputError(f"{path}: rows.{key}.paper.{metric}: {closest(metric, list(experiment.metrics))}")
    if not rows or not experiment.metrics or not experiment.seeds:
        raise InputError(f"{path}: an experiment needs at least one row, one metric and one seed")
    return experiment


def all_runs(experiment: Experiment, overrides: tuple[str, ...] = ()) -> list[Run]:
    """Every run, seeds in turn so that a table with fewer seeds is whole early.

    Args:
        overrides: ``section.key=value`` that come last, e.g. another budget.
    """
    runs = []
    for key, row in experiment.rows.items():
        recipe = row.recipe or experiment.recipe
        if recipe is None:
            raise InputError(f"experiment {experiment.name}: row {key!r} has no recipe")
        path = find_recipe(recipe)
        for turn, seed in enumerate(row.seeds or experiment.seeds):
            changes = {**experiment.changes, **row.changes, "train.seed": seed}
            words = (*(f"{name}={_yaml(value)}" for name, value in changes.items()), *overrides)
            runs.append((turn, Run(key, seed, path, words, load_recipe(path, words))))
    return [run for _, run in sorted(runs, key=lambda pair: pair[0])]


def _yaml(value: Any) -> str:
    """One line that ``rnnpool train`` reads back as ``value``: JSON is YAML."""
    return json.dumps(value)


def _find(name: str) -> Path:
    if Path(name).is_file():
        return Path(name)
    shipped = shipped_files("experiments", ".yaml", in_wheel="experiment_files")  # a package has the other name there
    if name not in shipped:
        raise InputError(f"no experiment {name!r}: neither a file nor a shipped one: {closest(name, sorted(shipped))}")
    return shipped[name]
