"""A training on shards that notes the samples of every batch; started by torchrun: DATA OUT."""

import json
import os
import sys
from pathlib import Path

from rnnpool.train.loop import train
from rnnpool.train.recipe import parse_recipe
from rnnpool.train.tasks import create_task


def recipe(images, **settings):
    base = {"images": images, "batch_size": 6, "lr": 0.01, "device": "cpu", "threads": 1}
    return parse_recipe(
        {
            "task": "classification",
            "model": {"name": "pooled-avg", "options": {"width": 4}},
            "data": {"size": 8},
            "train": base | settings,
        }
    )


if __name__ == "__main__":
    data, out = map(Path, sys.argv[1:])
    chosen = recipe(72)
    task = create_task(chosen, data)
    loss, seen = task.loss, []

    def noting(model, batch):
        seen.extend((epoch, task.samples.images.names[index]) for epoch, index in batch.keys)
        return loss(model, batch)

    task.loss = noting
    train(chosen, task, out)
    (out / f"seen-{os.environ['RANK']}.json").write_text(json.dumps(seen))
