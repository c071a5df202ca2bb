"""A task small enough to train in a second, with everything that could make a resume inexact: augmentation, randomness
inside the loss, batch norm's statistics, momentum. Runs as a script too, for the tests that kill it or start it twice.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from rnnpool.train.recipe import ModelRecipe, Recipe, TrainRecipe
from rnnpool.train.stream import stream_batches
from rnnpool.train.typed import from_mapping


class Points:
    """Sample i of epoch e: a random point of the plane and whether it lies in the circle of radius 1."""

    def __init__(self, length=50, poison=None):
        self.length, self.poison = length, poison

    def __len__(self):
        return self.length

    def batch(self, keys):
        inputs, labels = zip(*(self.sample(*key) for key in keys), strict=True)
        return torch.stack(inputs), torch.stack(labels)

    def sample(self, epoch, index):
        x = np.random.default_rng((7, epoch, index)).normal(size=2).astype(np.float32)
        label = float(np.hypot(*x) < 1)
        if (epoch, index) == self.poison:
            x[0] = np.nan
        return torch.from_numpy(x), torch.tensor([label])


class ToyTask:
    main_metric = "accuracy"

    def __init__(self, batch_norm=True, dropout=0.1, poison=None, seconds=0.0):
        self.dataset = Points(poison=poison)
        self.batch_norm, self.dropout, self.seconds = batch_norm, dropout, seconds
        self.epoch_length = len(self.dataset)
        self.data_digest = "of the points"

    def about_data(self):
        return ""

    def build_model(self):
        norm = nn.BatchNorm1d(16) if self.batch_norm else nn.Identity()
        return nn.Sequential(nn.Linear(2, 16), norm, nn.Tanh(), nn.Dropout(self.dropout), nn.Linear(16, 1))

    def batches(self, plan):
        return stream_batches(self.dataset, plan)

    def describe(self, key):
        return f"point-{key[0]}-{key[1]}"

    def loss(self, model, batch):
        time.sleep(self.seconds)
        logits = model(batch.inputs)
        return {
            "bce": nn.functional.binary_cross_entropy_with_logits(logits, batch.targets),
            "small": 1e-3 * logits.square().mean(),
        }

    def evaluate(self, model):
        x = torch.from_numpy(np.random.default_rng(1).normal(size=(500, 2)).astype(np.float32))
        inside = x.norm(dim=1) < 1
        return {"accuracy": ((model(x)[:, 0] > 0) == inside).float().mean().item()}

    def export(self, model, path, metadata):
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path, dict(metadata))


def toy_recipe(**train):
    settings = {"images": 400, "batch_size": 8, "lr": 0.1, "ema_decay": 0.9, "evaluate_every": 80, "device": "cpu"}
    return Recipe("toy", ModelRecipe("toy"), None, from_mapping(TrainRecipe, settings | train))


if __name__ == "__main__":  # OUT RESUME TASK-OPTIONS TRAIN-OPTIONS (JSON)
    from rnnpool.train.loop import train

    out, resume, options, settings = sys.argv[1:]
    result = train(toy_recipe(**json.loads(settings)), ToyTask(**json.loads(options)), Path(out), resume=resume == "1")
    sys.exit(128 + result.signum if result.signum else 0)
