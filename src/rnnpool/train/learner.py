"""What learns: a network with its optimizer, the average of its weights, its sparsity and its rounding."""

import math
from typing import Any

import torch
from torch import nn

from rnnpool.integer.calibrated import Calibrated
from rnnpool.nn.sparse import HardThresholding
from rnnpool.train.ema import EMA
from rnnpool.train.fabric import Fabric
from rnnpool.train.finite import check_finite
from rnnpool.train.optimizers import build_optimizer
from rnnpool.train.recipe import TrainRecipe
from rnnpool.train.rounding import start_rounding
from rnnpool.train.schedule import learning_rate_factor
from rnnpool.train.stream import mix_seed
from rnnpool.train.task import Batch, Task


class Learner:
    """Updates the task's network batch by batch.

    Args:
        total_steps: of the whole training; learning rate and sparsity follow them.
        integers: JSON, the rounding of the run that goes on; None: a run that begins finds its own.
    """

    def __init__(
        self, settings: TrainRecipe, task: Task, fabric: Fabric, total_steps: int, integers: str | None
    ) -> None:
        self.settings, self.task, self.fabric, self.total_steps = settings, task, fabric, total_steps
        model = task.build_model()
        self.calibrated: Calibrated | None = None
        if settings.quantize:
            self.calibrated = start_rounding(model, task, settings.quantize, integers)
        if settings.channels_last:
            model = model.to(memory_format=torch.channels_last)
        if settings.sync_batch_norm:
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        self.model = fabric.setup_module(model)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = build_optimizer(self.model, settings)
        self.sparsity = HardThresholding(self.model.module, settings.sparsity) if settings.sparsity else None
        self.ema = EMA(self.model.module, settings.ema_decay) if settings.ema_decay else None

    def update(self, batch: Batch, step: int) -> dict[str, float]:
        """Learn from the batch of ``step`` (from 0). Returns the loss terms and ``gradient_norm`` (before clipping).

        Raises:
            InputError: one of them is not finite; the weights are as before.
        """
        settings = self.settings
        _seed(mix_seed(settings.seed, step, self.fabric.global_rank), self.fabric.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate(step)
        inputs, targets = self.fabric.to_device((batch.inputs, batch.targets))  # it would walk through all keys, too
        if settings.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        batch = Batch(inputs, targets, batch.keys)

        terms = self.task.loss(self.model, batch)
        self.fabric.backward(torch.stack([term.float() for term in terms.values()]).sum())
        norm = nn.utils.clip_grad_norm_(self.parameters, settings.clip_norm or math.inf)
        # One transfer from the device a step; checked before the weights take the update in.
        numbers = torch.stack([*(term.detach().float() for term in terms.values()), norm]).tolist()
        values = dict(zip([*terms, "gradient_norm"], numbers, strict=True))
        epoch = step * settings.batch_size // self.task.epoch_length
        check_finite(values, batch, self.task, step, epoch)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.sparsity:
            self.sparsity.step((step + 1) / self.total_steps)
        if self.ema:
            self.ema.update(step)
        return values

    @property
    def learning_rate(self) -> float:
        """Of the last update."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def is_shippable(self) -> bool:
        """Whether the weights are as sparse as they shall be."""
        return self.sparsity is None or self.sparsity.phase == "fixed"

    def shipped(self) -> nn.Module:
        """The network that is evaluated and written: the average where there is one."""
        if self.ema is None:
            return self.model.module
        if self.sparsity and self.is_shippable:
            self.sparsity.apply_masks(self.ema.module)  # the average still holds traces of dropped entries
        return self.ema.module

    def state_dict(self) -> dict[str, Any]:
        """All that another learner of the same recipe needs to go on from here."""
        return {
            "model": self.model.module.state_dict(),
            "ema": self.ema.module.state_dict() if self.ema else None,
            "optimizer": self.optimizer.state_dict(),
            "sparsity": self.sparsity.state_dict() if self.sparsity else None,
            "integers": self.calibrated.to_json() if self.calibrated else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``, of a learner of the same recipe that was given its ``integers``, too."""
        self.model.module.load_state_dict(state["model"])
        if self.ema:
            self.ema.module.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.sparsity:
            self.sparsity.load_state_dict(state["sparsity"])

    def _learning_rate(self, step: int) -> float:
        settings = self.settings
        return settings.lr * learning_rate_factor(step, self.total_steps, settings.warmup, settings.lr_floor)


def _seed(seed: int, device: torch.device) -> None:
    """The default generators that a step may use; torch.manual_seed takes a millisecond for devices that are absent."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
