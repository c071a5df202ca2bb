"""Training of classifiers: from folders of pictures to weights that say what they are."""

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file

from made_pictures import write_pictures
from rnnpool.cli import main
from rnnpool.errors import InputError
from rnnpool.train.loop import train
from rnnpool.train.recipe import parse_recipe
from rnnpool.train.task import Batch, Plan
from rnnpool.train.tasks import create_task
from stopped_training import stop_at


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    write_pictures(root / "train", {"red": 12, "green": 12, "blue": 12}, seed=0)
    write_pictures(root / "val", {"red": 5, "green": 5, "blue": 5}, seed=1)
    return root


def recipe(data=None, model=None, **settings):
    base = {"images": 360, "batch_size": 12, "optimizer": "adamw", "lr": 1e-2, "device": "cpu", "threads": 1}
    return parse_recipe(
        {
            "task": "classification",
            "model": {"name": "pooled-rnnpool", "options": {"hidden": 4}} | (model or {}),
            "data": {"size": 12, "augment": {"crop_scale": [0.3, 1]}} | (data or {}),
            "train": base | settings,
        }
    )


def test_it_learns_and_its_weights_say_what_they_are(data, tmp_path):
    chosen = recipe({"cache": "cache"}, ema_decay=0.9, images=960, lr=2e-2)
    result = train(chosen, create_task(chosen, data), tmp_path)
    assert result.metrics["top1"] > 0.9
    assert "top5" not in result.metrics  # of three classes it says nothing
    with safe_open(tmp_path / "best.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["classes"]) == ["blue", "green", "red"]
    assert json.loads(metadata["model_options"]) == {
        "num_classes": 3,
        "in_channels": 3,
        "input_size": 12,
        "hidden": 4,
    }
    assert json.loads(metadata["view"])["size"] == 12


def test_a_stopped_run_goes_on_to_the_same_bits(data, tmp_path):
    """With everything random: crops, colours, mixup and cutmix; read by a worker or not."""
    chosen = {"mixup": 0.2, "cutmix": 1.0, "augment": {"colour": {}}}
    train(recipe(chosen), create_task(recipe(chosen), data), tmp_path / "whole")
    task = stop_at(create_task(recipe(chosen), data), 11)
    assert train(recipe(chosen), task, tmp_path / "stopped").step == 11
    again = recipe(chosen, workers=1)
    train(again, create_task(again, data), tmp_path / "stopped", resume=True)
    whole, stopped = (load_file(tmp_path / name / "final.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(value, stopped[key]) for key, value in whole.items())


def test_one_folder_of_classes_is_split(data):
    with pytest.raises(InputError, match="there is no absent/ to train on"):
        create_task(recipe({"train": "absent"}), data / "train")
    task = create_task(recipe(), data / "train")
    assert (task.epoch_length, len(task.val)) == (30, 6)
    assert not set(task.samples.images.names) & set(task.val.images.names)


def test_every_sample_once_an_epoch_and_named(data):
    task = create_task(recipe(), data)
    plan = Plan(first=0, last=6, batch_size=12, rank=0, world=1, seed=0, workers=0, device=torch.device("cpu"))
    keys = [key for batch in task.batches(plan) for key in batch.keys]
    assert sorted(keys) == [(epoch, index) for epoch in (0, 1) for index in range(36)]
    assert task.describe((1, 0)) == "train/blue/picture-0.png (epoch 1)"


def test_samples_may_be_made_on_the_device_that_trains(data):
    plan = Plan(first=0, last=1, batch_size=36, rank=0, world=1, seed=0, workers=0, device=torch.device("cpu"))
    (alone,), (made,) = (list(create_task(recipe({"crops": crops}), data).batches(plan)) for crops in ("cpu", "device"))
    assert alone.keys == made.keys
    assert torch.equal(alone.targets, made.targets)
    assert (alone.inputs.float() - made.inputs).abs().max() < 1.1  # rounded after each axis


def test_the_loss_is_cross_entropy_with_its_options(data):
    def batch_of(task):
        return Batch(*task.samples.batch([(0, index) for index in (0, 13, 25)]), [])

    plain = create_task(recipe(), data)
    model = plain.build_model()
    batch = batch_of(plain)
    logits = model((batch.inputs.float() - 128) / 128)
    log_probabilities = logits.log_softmax(dim=1)
    picked = log_probabilities[torch.arange(3), torch.tensor([0, 1, 2])]
    torch.testing.assert_close(plain.loss(model, batch)["cross_entropy"], -picked.mean())
    smooth = create_task(recipe({"label_smoothing": 0.3}), data).loss(model, batch)["cross_entropy"]
    torch.testing.assert_close(smooth, (-0.7 * picked - 0.3 * log_probabilities.mean(dim=1)).mean())
    mixed_task = create_task(recipe({"mixup": 1.0}), data)
    torch.manual_seed(0)
    mixed = mixed_task.loss(model, batch)["cross_entropy"]
    torch.manual_seed(0)
    torch.randint(1, ())  # which of the mixers
    share = torch.distributions.Beta(torch.tensor([1.0]), torch.tensor([1.0])).sample()
    inputs = (batch.inputs.float() - 128) / 128
    logits = model(share * inputs + (1 - share) * inputs.roll(1, 0))
    targets = F.one_hot(torch.tensor([0, 1, 2]), 3)
    expected = -((share * targets + (1 - share) * targets.roll(1, 0)) * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(mixed, expected)


@pytest.mark.parametrize(
    ("data_options", "model", "message"),
    [
        ({}, {"name": "face-tiny", "options": {}}, "'face-tiny' is made for detection"),
        ({}, {"options": {"num_classes": 10}}, "num_classes is 10, the data have 3"),
        ({"channels": 2}, {}, "data.channels is 2"),
        ({"mean": [1, 2]}, {}, "data.mean must have 1 or 3 numbers"),
        ({"mixup": -1}, {}, "data.mixup is -1"),
        ({"label_smoothing": 1}, {}, "label_smoothing is 1"),
        ({"val": "test"}, {}, "no test/ to evaluate on"),
    ],
)
def test_what_is_refused(data, data_options, model, message):
    with pytest.raises(InputError, match=message):
        create_task(recipe(data_options, model), data)


def test_one_class_is_none(tmp_path):
    write_pictures(tmp_path / "train", {"red": 2})
    write_pictures(tmp_path / "val", {"red": 2})
    with pytest.raises(InputError, match="has only the class 'red'"):
        create_task(recipe({}, {}), tmp_path)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("part", ["train", "val"])
def test_a_damaged_picture_is_named_in_one_line(tmp_path, workers, part, capsys):
    """With a worker torch would print its traceback instead."""
    data = tmp_path / "pictures"
    write_pictures(data / "train", {"red": 4, "blue": 4})
    write_pictures(data / "val", {"red": 2, "blue": 2})
    (data / part / "red" / "picture-1.png").write_bytes(b"no picture")
    small = ["data.size=12", "model.name=pooled-avg", "model.options={width: 4}", "train.images=8"]
    command = ["train", "pictures", "--data", str(data), "--out", str(tmp_path / "run"), *small, "train.batch_size=8"]
    assert main([*command, f"train.workers={workers}"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("rnnpool: error: ")
    assert "picture-1.png: not an image" in said


def test_a_folder_to_train_on_without_one_to_evaluate_on(tmp_path, capsys):
    write_pictures(tmp_path / "train", {"red": 4, "blue": 4})
    command = ["train", "pictures", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main(command) == 2
    assert "there is train/ to train on, but no val/ to evaluate on" in capsys.readouterr().err
    assert main([*command, "data.size=1000000"]) == 2
    assert "data.size is 1000000; it may be 1 to 4096 pixels" in capsys.readouterr().err
