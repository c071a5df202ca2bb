"""Experiments as files, their tables, and the whole way through the command line."""

import json

import numpy as np
import pytest
from PIL import Image

from made_pictures import write_pictures
from rnnpool.cli import main
from rnnpool.errors import InputError
from rnnpool.experiments.definition import all_runs, load_experiment
from rnnpool.experiments.statistics import estimate, paired_difference

TINY = """
title: Two tiny networks
notes: Not to be believed.
recipe: pictures
seeds: [1, 2]
changes: {train.images: 24, train.batch_size: 12, train.workers: 0, data.size: 16, train.evaluate_every: 0}
metrics: {top1: top-1}
reference: pooled
rows:
  pooled:
    label: RNNPool
    changes: {model.name: pooled-rnnpool, model.options: {hidden: 2}}
    paper: {top1: 0.75}
  bad:
    label: no network
    seeds: [1]
    changes: {model.name: pooled-max, model.options: {width: 4}, train.lr: 1.0e+30}
"""


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def test_runs_take_turns_by_seed_and_are_named_by_what_they_compute(tiny):
    experiment = load_experiment(str(tiny))
    runs = all_runs(experiment)
    assert [(run.row, run.seed) for run in runs] == [("pooled", 1), ("bad", 1), ("pooled", 2)]
    assert runs[0].recipe.train.images == 24
    assert runs[0].recipe.model.options == {"hidden": 2}
    longer = all_runs(experiment, ("train.images=48",))
    slower = all_runs(experiment, ("train.threads=1", "train.workers=1"))
    assert longer[0].recipe.train.images == 48
    assert longer[0].name != runs[0].name == slower[0].name
    assert len({run.name for run in runs}) == 3


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("reference: pooled", "reference: pool", "reference 'pool' is no row: did you mean 'pooled'"),
        ("label: RNNPool", "lable: RNNPool", "unknown field rows.pooled.lable: did you mean 'label'"),
        ("metrics:", "metric:", "unknown field metric: did you mean 'metrics'"),
        ("paper: {top1", "paper: {top_1", "rows.pooled.paper.top_1: did you mean 'top1'"),
        ("rows:", "lines:", "must hold title, metrics and rows"),
        ("seeds: [1, 2]", "seeds: []", "at least one row, one metric and one seed"),
    ],
)
def test_files_that_are_refused(tiny, before, after, message):
    tiny.write_text(tiny.read_text().replace(before, after))
    with pytest.raises(InputError, match=message):
        load_experiment(str(tiny))


def test_shipped_experiments_can_be_read():
    import rnnpool.experiments.definition as definition

    folder = definition.Path(definition.__file__).resolve().parents[3] / "experiments"
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    assert "cifar10-pooled" in names
    for name in names:
        runs = all_runs(load_experiment(name))
        assert len({run.name for run in runs}) == len(runs), f"two rows of {name} compute the same"


def test_intervals():
    assert str(estimate([0.7, 0.72, 0.74])) == "72.00 ± 4.97"  # t(2) = 4.303, s / sqrt(3) = 1.155
    assert str(estimate([0.7])) == "70.00"
    assert estimate([]) is None
    difference = paired_difference({1: 0.9, 2: 0.5, 3: 0.7}, {1: 0.8, 2: 0.4, 4: 0.1})
    assert difference is not None
    assert difference.mean == pytest.approx(0.1)
    assert difference.half_width == pytest.approx(0, abs=1e-9)
    assert difference.count == 2


def test_from_pictures_to_a_table(tiny, tmp_path, capsys):
    data, out = write_pictures(tmp_path / "data", {"red": 10, "blue": 10}), tmp_path / "out"
    arguments = ["experiment", str(tiny), "--data", str(data), "--out", str(out), "--jobs", "2"]
    assert main(arguments) == 1  # a run failed
    page, numbers = (out / "tiny.md").read_text(), json.loads((out / "tiny.json").read_text())
    values = numbers["rows"]["pooled"]["values"]["top1"]
    assert set(values) == {"1", "2"}
    assert f"| RNNPool | 2 | {100 * np.mean(list(values.values())):.2f} ±" in page
    assert "| 75.00 |" in page
    assert "## Runs that failed" in page
    assert "exit status 2" in page
    assert "is nan" in page or "is inf" in page
    cost = numbers["rows"]["pooled"]["cost"]
    assert cost["parameters"] == (2 * 3 + 4 + 4) + (4 + 4 + 4) + (8 * 2 + 2)  # RNN1, RNN2, linear
    assert cost["madds_paper"] > 0
    with Image.open(out / "tiny.png") as image:
        assert min(image.size) > 500
    capsys.readouterr()
    assert main([*arguments[:2], "--out", str(out), "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == ["done", "failed", "done"]
    tiny.write_text(TINY.replace("{top1:", "{top_1:"))
    assert main([*arguments[:2], "--out", str(out), "--report"]) == 2
    told = capsys.readouterr().err
    assert "metrics.top_1: pooled-s1-" in told
    assert "was not measured by it; did you mean 'top1'" in told


def test_what_the_command_refuses(tiny, tmp_path, capsys):
    assert main(["experiment", str(tiny), "--data", str(tmp_path / "nothing")]) == 2
    assert main(["experiment", str(tiny), "--data", str(tmp_path), "--rows", "pooled,other"]) == 2
    assert main(["experiment", "nothing"]) == 2
    for option in ("--out", "--results"):
        where = ["--out", str(tmp_path / "out"), option, str(tiny)]  # of two the last counts
        assert main(["experiment", str(tiny), "--data", str(tmp_path), *where]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "no such folder" in errors[0]
    assert "--rows other: no such row; there are pooled, bad" in errors[1]
    assert "no experiment 'nothing'" in errors[2]
    assert f"--out {tiny}: cannot make this folder: it is a file" in errors[3]
    assert f"--results {tiny}: cannot make this folder: it is a file" in errors[4]
