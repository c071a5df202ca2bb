"""A loss, gradient or input that is not finite ends a run, with the batch named: weights that took it in are lost."""

import math

import torch

from rnnpool.errors import InputError
from rnnpool.train.task import Batch, Task


def check_finite(values: dict[str, float], batch: Batch, task: Task, step: int, epoch: int) -> None:
    """Raise InputError naming what is not finite in ``values``, the step and the batch's samples."""
    wrong = {name: value for name, value in values.items() if not math.isfinite(value)}
    if not wrong:
        return
    listed = ", ".join(f"{name} is {value}" for name, value in wrong.items())
    bad = (~torch.isfinite(batch.inputs)).flatten(1).any(1).tolist()
    if any(bad):
        named = [task.describe(key) for key, is_bad in zip(batch.keys, bad, strict=True) if is_bad]
        cause = f"the input is not finite in {', '.join(named)}"
    else:
        cause = f"the inputs are finite; samples: {', '.join(map(task.describe, batch.keys))}"
    raise InputError(f"training stopped at epoch {epoch}, step {step}: {listed}; {cause}")
