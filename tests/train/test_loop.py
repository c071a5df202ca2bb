"""The loop: it learns, resumes exactly, stops with the batch named, and says what it refuses."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parent))
from toy_task import ToyTask, toy_recipe

from rnnpool.errors import InputError
from rnnpool.train.checkpoint import LAST, load_checkpoint
from rnnpool.train.loop import train
from rnnpool.train.metrics_log import MetricsLog
from stopped_training import stop_at

TOY = Path(__file__).parent / "toy_task.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def lines(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def assert_same_weights(a, b):
    first, second = load_file(a / "final.safetensors"), load_file(b / "final.safetensors")
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken")
    result = train(toy_recipe(), ToyTask(), out)
    assert result.step == result.total_steps == 50
    return out


def test_it_learns_and_writes_what_it_says(tmp_path):
    result = train(toy_recipe(images=4000, batch_size=16, evaluate_every=800), ToyTask(), tmp_path)
    assert result.metrics["accuracy"] > 0.9
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {
        "last.ckpt",
        "previous.ckpt",
        "best.safetensors",
        "final.safetensors",
        "metrics.jsonl",
        "recipe.yaml",
    }
    assert any((tmp_path / "tb").iterdir())
    evaluations = [entry for entry in lines(tmp_path) if entry["kind"] == "evaluation"]
    assert [entry["images"] for entry in evaluations] == [800, 1600, 2400, 3200, 4000]


def test_evaluations_closer_than_a_batch_come_at_every_step(tmp_path):
    train(toy_recipe(images=64, batch_size=16, evaluate_every=10), ToyTask(), tmp_path)
    assert [entry["step"] for entry in lines(tmp_path) if entry["kind"] == "evaluation"] == [1, 2, 3, 4]


def test_of_evaluations_that_tie_the_last_is_the_best(tmp_path):
    task = ToyTask()
    task.evaluate = lambda model: {"accuracy": 0.5}
    train(toy_recipe(images=64, batch_size=16, evaluate_every=16), task, tmp_path)
    best, final = load_file(tmp_path / "best.safetensors"), load_file(tmp_path / "final.safetensors")
    assert all(torch.equal(value, final[key]) for key, value in best.items())


def test_an_evaluation_that_fails_costs_nothing_that_was_trained(tmp_path, unbroken):
    def fail(model):
        raise InputError("pictures/val/a.png cannot be decoded")

    task = ToyTask()
    task.evaluate = fail
    with pytest.raises(InputError, match="a.png"):
        train(toy_recipe(), task, tmp_path)
    assert load_checkpoint(tmp_path / LAST)["step"] == 10
    assert train(toy_recipe(), ToyTask(), tmp_path, resume=True).metrics
    assert [entry["images"] for entry in lines(tmp_path) if entry["kind"] == "evaluation"] == [80, 160, 240, 320, 400]
    assert_same_weights(tmp_path, unbroken)


def test_the_log_is_on_the_disk_before_a_checkpoint_is(tmp_path, monkeypatch):
    """Else a power cut could leave a run that is done, and has no evaluation."""
    synced = []
    monkeypatch.setattr(MetricsLog, "sync", lambda log: synced.append(len(lines(tmp_path))))
    monkeypatch.setattr("rnnpool.train.loop.save_checkpoint", lambda out, state: synced.append(state["step"]))
    train(toy_recipe(images=64, batch_size=16), ToyTask(), tmp_path)
    assert synced[-2:] == [len(lines(tmp_path)), 4]


def test_the_weights_shipped_are_the_average(unbroken):
    state = load_checkpoint(unbroken / LAST)
    final = load_file(unbroken / "final.safetensors")
    assert all(torch.equal(final[key], value) for key, value in state["ema"].items())
    assert not torch.equal(final["0.weight"], state["model"]["0.weight"])


@pytest.mark.parametrize("stop_after", [1, 17, 49])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, unbroken, stop_after):
    task = stop_at(ToyTask(), stop_after)
    result = train(toy_recipe(), task, tmp_path)
    assert (result.step, result.signum) == (stop_after, signal.SIGTERM)
    assert not (tmp_path / "final.safetensors").exists()
    train(toy_recipe(workers=1), ToyTask(), tmp_path, resume=True)
    assert_same_weights(tmp_path, unbroken)

    def comparable(out):
        timed = ("seconds", "seconds_waiting", "images_per_second")
        return [
            {k: v for k, v in entry.items() if k not in timed} for entry in lines(out) if entry["kind"] == "evaluation"
        ]

    assert comparable(tmp_path) == comparable(unbroken)


def test_two_processes_do_not_train_into_one_folder(tmp_path):
    with FileLock(tmp_path / ".training.lock"):
        with pytest.raises(InputError, match="another process trains into it"):
            train(toy_recipe(), ToyTask(), tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {".training.lock"}
    train(toy_recipe(), ToyTask(), tmp_path)


def test_killed_twice_it_still_ends_the_same(tmp_path):
    """kill -9 at moments that nobody chose, checkpoints all the time."""
    settings = {"images": 1200, "save_minutes": 0.0}
    command = [
        sys.executable,
        str(TOY),
        str(tmp_path / "killed"),
        "1",
        json.dumps({"seconds": 0.005}),
        json.dumps(settings),
    ]
    for _ in range(2):
        before = _last_write(tmp_path / "killed")
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 300
        while _last_write(tmp_path / "killed") == before:  # at least one checkpoint further than the run before
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(0.05)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    result = train(toy_recipe(**settings), ToyTask(), tmp_path / "killed", resume=True)
    assert result.step == 150
    train(toy_recipe(**settings), ToyTask(), tmp_path / "whole")
    assert_same_weights(tmp_path / "killed", tmp_path / "whole")


def _last_write(out):
    try:
        return (out / LAST).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def test_a_device_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="train.device is cuda, and torch finds none"):
        train(toy_recipe(device="cuda"), ToyTask(), tmp_path)


def test_nan_in_the_data_names_its_sample(tmp_path):
    with pytest.raises(InputError, match=r"epoch 2, step \d+: .*nan.*the input is not finite in point-2-7"):
        train(toy_recipe(), ToyTask(poison=(2, 7)), tmp_path)
    state = load_checkpoint(tmp_path / LAST)  # from before the poison
    assert all(value.isfinite().all() for value in state["model"].values())


def test_a_diverging_run_names_its_batch(tmp_path):
    task = ToyTask()
    loss = task.loss
    task.loss = lambda model, batch: {name: term * math.inf for name, term in loss(model, batch).items()}
    with pytest.raises(InputError, match=r"step 0: bce is inf.*the inputs are finite; samples: point-0-"):
        train(toy_recipe(), task, tmp_path)


def test_what_it_says_at_the_end_and_of_resuming(tmp_path, capsys):
    settings = {"images": 160, "batch_size": 16, "evaluate_every": 80}
    train(toy_recipe(**settings), ToyTask(), tmp_path, resume=True)
    said = capsys.readouterr().out
    assert f"from the start: {tmp_path} holds no checkpoint" in said
    best = max(entry["accuracy"] for entry in lines(tmp_path) if entry["kind"] == "evaluation")
    ending = f"best accuracy {best:.4f}, at "
    assert said.splitlines()[-1].startswith(ending)
    assert said.rstrip().endswith(f"{tmp_path}/best.safetensors")
    train(toy_recipe(**settings), ToyTask(), tmp_path, resume=True)
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"nothing was left to do; {ending}")


def test_a_run_is_not_overwritten_nor_mixed(tmp_path, unbroken):
    with pytest.raises(InputError, match="holds a run.*--resume"):
        train(toy_recipe(), ToyTask(), unbroken)
    with pytest.raises(InputError, match=r"another recipe.*train\.lr \(was 0\.1, is 0\.2\)"):
        train(toy_recipe(lr=0.2), ToyTask(), unbroken, resume=True)
    with pytest.raises(InputError, match=r"rnnpool train \S+/recipe\.yaml --data DIR --out \S+ --resume$"):
        train(toy_recipe(lr=0.2), ToyTask(), unbroken, resume=True)
    other = ToyTask()
    other.epoch_length = 40
    with pytest.raises(InputError, match=r"epoch_length \(was 50, is 40\)$"):  # no recipe helps here
        train(toy_recipe(), other, unbroken, resume=True)
    renamed = ToyTask()
    renamed.data_digest = "of others"
    with pytest.raises(InputError, match=r"data_digest \(was 'of the points', is 'of others'\); classes or samples"):
        train(toy_recipe(), renamed, unbroken, resume=True)
    with pytest.raises(InputError, match="400 images is less than one batch of 512"):
        train(toy_recipe(batch_size=512), ToyTask(), tmp_path)


def test_sparse_training_ships_the_density_it_promises(tmp_path):
    train(toy_recipe(sparsity={"4.weight": 0.25}, evaluate_every=40), ToyTask(), tmp_path)
    for name in ("final.safetensors", "best.safetensors"):
        assert load_file(tmp_path / name)["4.weight"].count_nonzero() == 4  # of 16


def test_two_processes_take_the_same_steps_as_one(tmp_path):
    """Without batch norm and dropout, whose numbers depend on a process's share of the batch."""
    options, settings = json.dumps({"batch_norm": False, "dropout": 0.0}), {"images": 160}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0", "--standalone"]
    command = [*torchrun, str(TOY), str(tmp_path / "two"), "0", options, json.dumps(settings)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "2 process(es)" in done.stdout
    train(toy_recipe(**settings), ToyTask(batch_norm=False, dropout=0.0), tmp_path / "one")
    one, two = load_checkpoint(tmp_path / "one" / LAST), load_checkpoint(tmp_path / "two" / LAST)
    for key, value in one["model"].items():
        torch.testing.assert_close(value, two["model"][key], rtol=1e-5, atol=1e-6)
    assert lines(tmp_path / "one")[-1]["accuracy"] == lines(tmp_path / "two")[-1]["accuracy"]
