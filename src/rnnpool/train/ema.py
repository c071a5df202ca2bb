"""Exponential moving average of a model's weights and of its floating-point buffers (batch norm's statistics).

The averaged network is what is evaluated and shipped (Polyak & Juditsky 1992). The decay warms up,
min(decay, (1 + t) / (10 + t)) at update t, so that the random start is forgotten at once; the same rule as TensorFlow's
ExponentialMovingAverage.
"""

import copy

import torch
from torch import Tensor, nn


class EMA:
    """Keeps ``module``, a copy of ``model`` in eval mode whose floating-point state follows the model's average."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        averaged, followed = _state(self.module), _state(model)
        self._averaged = [averaged[name] for name, value in followed.items() if value.is_floating_point()]
        self._followed = [value for value in followed.values() if value.is_floating_point()]
        self._copies = [(averaged[name], value) for name, value in followed.items() if not value.is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the model's present state; ``step`` counts the updates before this one."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averaged, self._followed, 1 - decay)
        for ours, theirs in self._copies:
            ours.copy_(theirs)


def _state(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, each once; tensors that later steps change in place, not copies."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}
