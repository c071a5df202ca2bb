"""Probes: one pooling learns to tell lines, with one label a picture and with several."""

import json

import pytest
import torch
import torch.nn.functional as F

from rnnpool.errors import InputError
from rnnpool.train.loop import train
from rnnpool.train.recipe import parse_recipe
from rnnpool.train.task import Batch
from rnnpool.train.tasks import create_task


def recipe(synthetic=None, data=None, **settings):
    return parse_recipe(
        {
            "task": "probe",
            "model": {"name": "pooled-rnnpool", "options": {"hidden": 8}},
            "data": {
                "size": 16,
                "synthetic": {"size": 16, "noise": 5.0} | (synthetic or {}),
                "train_images": 600,
                "val_images": 100,
            }
            | (data or {}),
            "train": {"images": 6400, "batch_size": 32, "optimizer": "adamw", "lr": 1e-2, "device": "cpu", "threads": 1}
            | settings,
        }
    )


def test_one_pooling_learns_pictures_by_heart(tmp_path):
    chosen = recipe(data={"train_images": 32}, images=4800, lr=2e-2, clip_norm=1.0, log_every=320)
    train(chosen, create_task(chosen, tmp_path), tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["cross_entropy"] for line in lines if line["kind"] == "train"]
    assert losses[0] > 1.9  # ln 9 is 2.2
    assert losses[-1] < 0.7


def test_several_labels_are_a_yes_or_no_each(tmp_path):
    task = create_task(recipe({"multi_label": True}), tmp_path)
    assert task.main_metric == "exact"
    model = task.build_model()
    batch = Batch(*task.samples.batch([(0, index) for index in range(5)]), [])
    logits = model((batch.inputs.float() - 128) / 128)
    expected = -(batch.targets * F.logsigmoid(logits) + (1 - batch.targets) * F.logsigmoid(-logits)).mean()
    torch.testing.assert_close(task.loss(model, batch)["binary_cross_entropy"], expected)

    class Oracle(torch.nn.Module):
        """Right in every label but one of each picture."""

        def __init__(self):
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(()))
            self.seen = 0

        def forward(self, x):
            targets = torch.from_numpy(task.val.images.targets[self.seen : self.seen + len(x)])
            self.seen += len(x)
            answers = targets * 2 - 1
            answers[:, 0] *= -1
            return answers

    figures = task.evaluate(Oracle())
    assert figures["exact"] == 0
    assert figures["labels"] == pytest.approx(8 / 9)


def test_held_out_pictures_are_others(tmp_path):
    task = create_task(recipe(), tmp_path)
    seen = {task.samples.images.region(index).tobytes() for index in range(600)}
    assert not any(task.val.images.region(index).tobytes() in seen for index in range(100))


def test_what_is_refused(tmp_path):
    with pytest.raises(InputError, match="data.size and data.channels are 32 and 3, those of data.synthetic 16 and 3"):
        create_task(recipe(data={"size": 32}), tmp_path)
    with pytest.raises(InputError, match="need one class a picture"):
        create_task(recipe({"multi_label": True}, {"mixup": 0.2}), tmp_path)


def test_pictures_are_evaluated_as_they_are_drawn(tmp_path):
    """Whole and at their size, as they are trained on."""
    task = create_task(recipe(), tmp_path)
    for images, whole in ((task.val, task.val.images), (task.samples, task.samples.images)):
        pixels, _ = images.batch([(0, index) for index in range(3)])
        assert torch.equal(pixels, torch.from_numpy(whole.pixels.pictures[:3]).permute(0, 3, 1, 2))
