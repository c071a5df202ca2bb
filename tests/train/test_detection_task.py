"""Training of a detector from annotated photos: the path from files to weights, and that it learns."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from made_sets import write_wider
from rnnpool.data.collate import collate_detection
from rnnpool.errors import InputError
from rnnpool.models import create_model, save_weights
from rnnpool.train.checkpoint import LAST, load_checkpoint
from rnnpool.train.loop import train
from rnnpool.train.recipe import parse_recipe
from rnnpool.train.task import Batch, Plan
from rnnpool.train.tasks import create_task

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twelve grey photos with two bright squares each, as WIDER FACE and as a table of boxes."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    images, faces, rows = {}, {}, ["path,x,y,w,h,score"]
    for number in range(12):
        pixels = rng.integers(60, 120, (96, 128, 3), dtype=np.uint8)
        boxes = [(8 + number, 10, 24, 24), (70, 30 + number, 30, 30)]
        for x, y, w, h in boxes:
            pixels[y : y + h, x : x + w] = 230
        name = f"0--Squares/image{number}"
        images[name], faces[name] = pixels, boxes
        for x, y, w, h in boxes:
            rows.append(f"WIDER_FACE/WIDER_train/images/{name}.png,{x / 128},{y / 96},{w / 128},{h / 96},0.9")
    for split in ("train", "val"):
        write_wider(root / "WIDER_FACE", images, faces, split=split)
    (root / "boxes.csv").write_text("\n".join(rows) + "\n")
    return root


def recipe(data=None, model=None, **settings):
    base = {"images": 64, "batch_size": 8, "optimizer": "adamw", "lr": 3e-3, "device": "cpu", "threads": 1}
    augment = {"size": 64, "face_probability": 0.5, "face_pixels": [12, 40]}
    return parse_recipe(
        {
            "task": "detection",
            "model": {"name": "face-tiny"} | (model or {}),
            "data": {"cache": "cache", "augment": augment} | (data or {}),
            "train": base | settings,
        }
    )


def test_it_learns_to_find_squares(data, tmp_path):
    large = {"size": 96, "face_probability": 1.0, "face_pixels": [40, 90]}  # as evaluation's 320x240 pixels show them
    chosen = recipe({"augment": large}, images=800, ema_decay=0.9)
    result = train(chosen, create_task(chosen, data), tmp_path)
    assert result.metrics["medium"] > 0.5
    # The exported file is the network that was evaluated.
    model = create_model("face-tiny", weights=tmp_path / "final.safetensors")
    assert create_task(chosen, data).evaluate(model.eval()) == pytest.approx(result.metrics, abs=1e-6)


def test_the_mix_holds_its_share_and_names_its_images(data):
    task = create_task(recipe({"extra_csv": "boxes.csv", "extra_share": 0.25}), data)
    assert task.epoch_length == 16  # 12 and a quarter of the whole
    names = {task.describe((3, index)) for index in range(16)}
    assert all("0--Squares/image" in name and "epoch 3" in name for name in names)
    first = [task.samples.path(index, 0).name for index in range(12, 16)]
    assert first != [task.samples.path(index, 1).name for index in range(12, 16)]


def test_the_data_set_itself_may_be_named(data):
    assert create_task(recipe(), data / "WIDER_FACE").epoch_length == 12


def test_photos_without_a_face_cannot_say_which_weights_are_best(data, tmp_path):
    shutil.copytree(data, tmp_path / "faceless")
    split = tmp_path / "faceless" / "WIDER_FACE" / "wider_face_split" / "wider_face_val_bbx_gt.txt"
    names = [line for line in split.read_text().splitlines() if line.endswith((".jpg", ".png", ".webp"))]
    split.write_text("".join(f"{name}\n0\n0 0 0 0 0 0 0 0 0 0\n" for name in names))
    shutil.rmtree(tmp_path / "faceless" / "WIDER_FACE" / "ground_truth", ignore_errors=True)
    with pytest.raises(InputError, match="WIDER_FACE: no face in the photos to evaluate on"):
        create_task(recipe(), tmp_path / "faceless")


def test_start_from_other_weights(data, tmp_path):
    torch.manual_seed(0)
    grey, path = create_model("face-tiny"), tmp_path / "grey.safetensors"
    save_weights(grey, path)
    colour = {"options": {"in_channels": 3}, "init_from": str(path)}
    with pytest.raises(
        InputError, match=r"stages\.0\.0\.0\.weight.*shape \(8, 1, 3, 3\) in its model, face-tiny, and \(8, 3, 3, 3\)"
    ):
        create_task(recipe(model=colour), data)
    model = create_task(recipe(model={**colour, "init_skip": ["stages.0.0"]}), data).build_model()
    assert torch.equal(model.stages[1][0].state_dict()["body.0.0.weight"], grey.stages[1][0].body[0][0].weight)
    with pytest.raises(InputError, match="init_skip names 'stage.0'"):
        create_task(recipe(model={**colour, "init_skip": ["stage.0"]}), data)


def test_a_classifier_is_refused(data, monkeypatch):
    monkeypatch.setattr("rnnpool.train.detection_task.initial_model", lambda recipe: torch.nn.Linear(1, 1))
    with pytest.raises(InputError, match="model 'face-tiny' is no detector"):
        create_task(recipe(), data)


@pytest.mark.parametrize("name", ["face-tiny", "face-m4"])
def test_shares_of_a_batch_average_to_its_gradient(data, monkeypatch, name):
    """Two processes with half a batch each: dividing by the mean of their positives gives the gradient of the whole."""
    torch.manual_seed(0)
    task = create_task(recipe(model={"name": name}), data)
    model = task.build_model().eval()  # batch norm by its statistics, as it is the one thing that mixes samples
    items = [task.samples[0, index] for index in range(6)]

    def gradient(part):
        model.zero_grad()
        sum(task.loss(model, Batch(*collate_detection(part), [])).values()).backward()
        return {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}

    counts = []

    def recorded(count, device):
        counts.append(count)
        return 1.0

    for module in ("quality_loss", "s3fd_head"):
        monkeypatch.setattr(f"rnnpool.detection.{module}.mean_positives", recorded)
    whole, first, second = gradient(items), gradient(items[:2]), gradient(items[2:])
    assert counts[0] == counts[1] + counts[2]
    for key, value in whole.items():
        torch.testing.assert_close((first[key] + second[key]), value, rtol=1e-3, atol=1e-4 * value.abs().max().item())


def test_the_command_line_trains_in_two_processes(data, tmp_path):
    """torchrun with the verb as a user types it; the positives of both processes are shared."""
    path = tmp_path / "mine.yaml"
    mapping = recipe(images=48).to_mapping()
    path.write_text(yaml.safe_dump(mapping))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", "-m", "rnnpool"]
    command = [*torchrun, "train", str(path), "--data", str(data), "--out", str(tmp_path / "run"), "train.seed=4"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "2 process(es)" in done.stdout
    state = load_checkpoint(tmp_path / "run" / LAST)
    assert state["step"] == 6
    assert state["computes"]["train.seed"] == 4
    entries = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert entries[-1]["kind"] == "evaluation"
    assert {path.name for path in Path(tmp_path / "run").iterdir()} >= {"final.safetensors", "best.safetensors"}


def batches_of(task, steps, batch_size, workers=0):
    plan = Plan(0, steps, batch_size, rank=0, world=1, seed=1, workers=workers, device=torch.device("cpu"))
    return list(task.batches(plan))


def test_samples_may_be_made_on_the_device_that_trains(data, tmp_path):
    """The same up to rounding, so that a run may go on in the other way."""
    augment = {"size": 64, "photometric": {"blur_probability": 0.0, "noise_probability": 0.0}}
    (alone,), (made,) = (
        batches_of(create_task(recipe({"crops": crops, "augment": augment}), data), 1, 12)
        for crops in ("cpu", "device")
    )
    difference = (alone.inputs - made.inputs).abs() * 128
    assert difference.mean() < 1
    assert difference.quantile(0.99) < 5  # a contrast of up to 1.5, a gamma that is steep near black
    assert torch.equal(alone.targets.boxes, made.targets.boxes)
    chosen = recipe({"crops": "cpu"}, images=16)
    train(chosen, create_task(chosen, data), tmp_path)
    chosen = recipe({"crops": "device"}, images=16)
    assert train(chosen, create_task(chosen, data), tmp_path, resume=True).step == 2


def test_any_number_of_workers_makes_the_same_samples(data):
    """Batches of 7 of 12 images reach over the ends of epochs."""
    task = create_task(recipe({"extra_csv": "boxes.csv", "extra_share": 0.25}), data)
    for alone, worked in zip(batches_of(task, 12, 7), batches_of(task, 12, 7, workers=2), strict=True):
        assert alone.keys == worked.keys
        assert torch.equal(alone.inputs, worked.inputs)


def test_a_signal_to_the_whole_group_saves_and_ends(data, tmp_path):
    """As a service manager stops a run: workers get the signal, too, and must not take the run down before it saved."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(recipe(images=80000, workers=1, print_seconds=0.1).to_mapping()))
    command = [sys.executable, "-m", "rnnpool", "train", str(path), "--data", str(data), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    for line in process.stdout:
        if "images/s" in line:
            break
    os.killpg(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert load_checkpoint(tmp_path / "run" / LAST)["step"] > 0
