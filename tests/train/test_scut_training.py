"""The shipped recipe of SCUT-HEAD from files to a figure, on made-up heads."""

import json
import math
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from made_sets import write_scut
from rnnpool.cli import main
from rnnpool.models import create_model, save_weights
from rnnpool.train.loop import train
from rnnpool.train.recipe import load_recipe
from rnnpool.train.tasks import create_task

RECIPE = Path(__file__).parents[2] / "recipes" / "face-m4-scut.yaml"


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    images, heads = {}, {}
    for number in range(10):
        name = f"PartB_{number:05}"
        images[name] = rng.integers(60, 120, (96, 128, 3), dtype=np.uint8)
        heads[name] = [(10 + number, 20, 24, 30), (70, 30 + number, 30, 30)]
        for x, y, w, h in heads[name]:
            images[name][y : y + h, x : x + w] = 230
    write_scut(tmp_path / "SCUT_HEAD_Part_B", images, heads)
    return tmp_path


def test_fine_tunes_from_other_weights(data, tmp_path):
    torch.manual_seed(0)
    start = create_model("face-m4")
    save_weights(start, tmp_path / "start.safetensors")
    overrides = [f"model.init_from={tmp_path / 'start.safetensors'}", "train.images=32", "train.batch_size=8"]
    recipe = load_recipe(RECIPE, [*overrides, "train.device=cpu", "data.augment.size=64"])
    task = create_task(recipe, data)
    assert task.epoch_length == 8  # 80 % of 10
    begun = task.build_model().state_dict()
    assert all(torch.equal(begun[key], value) for key, value in start.state_dict().items())
    result = train(recipe, task, tmp_path / "run")
    assert set(result.metrics) == {"mAP"}
    assert not math.isnan(result.metrics["mAP"])
    assert task.main_metric == "mAP"
    trained = create_model("face-m4", weights=tmp_path / "run" / "final.safetensors").state_dict()
    assert any(not torch.equal(trained[key], value) for key, value in begun.items())
    shares = {key: (value != 0).float().mean().item() for key, value in trained.items() if "rnn1.weight_input" in key}
    assert list(shares.values()) == pytest.approx([0.5], abs=0.05)


def test_it_begins_with_the_shipped_weights(data):
    begun = create_task(load_recipe(RECIPE, ["data.augment.size=64"]), data).build_model().state_dict()
    shipped = create_model("face-m4", weights="default").state_dict()
    assert all(torch.equal(value, shipped[key]) for key, value in begun.items())


def test_evaluation_holds_out_what_training_did(data, tmp_path, capsys, monkeypatch):
    seeds = []

    def stop(*_, split_seed, **__):
        seeds.append(split_seed)
        raise InterruptedError

    monkeypatch.setattr("rnnpool.eval.sets.open_evaluation", stop)
    overrides = ["data.split_seed=3", "train.images=8", "train.batch_size=8", "data.augment.size=64"]
    recipe = load_recipe(RECIPE, [*overrides, "train.device=cpu"])
    torch.manual_seed(0)
    metadata = {"recipe": json.dumps(recipe.to_mapping())}
    save_weights(create_model("face-m4"), tmp_path / "own.safetensors", metadata)
    arguments = ["evaluate", "--data", str(data / "SCUT_HEAD_Part_B"), "--weights", str(tmp_path / "own.safetensors")]
    for more in ([], ["--split-seed", "1"]):
        with suppress(InterruptedError):
            main([*arguments, *more])
    assert seeds == [3, 1]
    assert "was trained with split_seed 3: images of this split trained it" in capsys.readouterr().err


def test_the_seed_of_the_split_reaches_the_set(data):
    named = set()
    for seed in range(4):
        path = f"model.init_from={data / 'start.safetensors'}"
        save_weights(create_model("face-m4"), data / "start.safetensors")
        task = create_task(load_recipe(RECIPE, [path, f"data.split_seed={seed}"]), data)
        train_names = {task.samples.path(i, 0).stem for i in range(8)}
        val_names = set(task._evaluation.truth.names)
        assert not train_names & val_names
        assert len(val_names) == 2
        named.add(tuple(sorted(val_names)))
    assert len(named) > 1
