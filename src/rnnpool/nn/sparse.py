"""Sparse weight matrices: iterative hard thresholding, then training on the support that it chose.

The three phases of FastGRNN (Kusupati et al., NeurIPS 2018, section 3.2): train densely; then train by iterative hard
thresholding, that is gradient steps, each few followed by the projection onto matrices of k non-zero entries, which
keeps the k largest magnitudes (Blumensath and Davies, "Iterative thresholding for sparse approximations", 2008);
then keep the support found and train the values on it. Here a matrix moves freely between two projections, so that an
entry once dropped can come back, as in Jin et al., "Training skinny deep neural networks with iterative hard
thresholding methods", 2016.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from rnnpool.errors import InputError

# RNNPool-Face-M4: W of RNN1 half non-zero, the other three matrices 30% (reference code, RPool_Face_M4).
FACE_M4_DENSITY = {
    "*rnn1.weight_input": 0.5,
    "*rnn1.weight_hidden": 0.3,
    "*rnn2.weight_input": 0.3,
    "*rnn2.weight_hidden": 0.3,
}


def density(module: nn.Module, pattern: str = "*") -> dict[str, float]:
    """Fraction of non-zero entries, 0 to 1, of each parameter of two or more dimensions whose name fits ``pattern``."""
    return {
        name: parameter.count_nonzero().item() / parameter.numel()
        for name, parameter in module.named_parameters()
        if parameter.dim() >= 2 and fnmatchcase(name, pattern)
    }


class HardThresholding:
    """Makes chosen parameters of a module sparse while it trains; call ``step`` after every optimiser step.

    Args:
        module: the network or layer; its parameters are changed in place.
        densities: name pattern (``fnmatch``, case-sensitive, on names as in ``named_parameters``) -> fraction of the
            entries to keep, above 0 and at most 1. The first pattern that fits a name counts.
        start: progress, 0 to 1, at which projections begin (the paper: a third of training).
        freeze: progress at which the support is fixed (two thirds).
        every: optimiser steps between projections in the second phase; 1 is plain iterative hard thresholding.

    Raises:
        InputError: a value out of its range, or a pattern without a parameter.
    """

    def __init__(
        self,
        module: nn.Module,
        densities: Mapping[str, float],
        *,
        start: float = 1 / 3,
        freeze: float = 2 / 3,
        every: int = 15,
    ) -> None:
        if not 0 <= start <= freeze <= 1:
            raise InputError(
                f"HardThresholding: start {start} and freeze {freeze} must satisfy 0 <= start <= freeze <= 1"
            )
        if every < 1:
            raise InputError(f"HardThresholding: every is {every}; it must be at least 1 step")
        self.start, self.freeze, self.every = start, freeze, every
        self._parameters, self._keep = _matching(module, densities)
        self._steps = 0  # optimiser steps since ``start``
        self._masks: dict[str, Tensor] = {}  # name -> bool, of the parameter's shape; empty until the support is fixed

    @property
    def phase(self) -> str:
        """ "dense", "threshold" or "fixed"."""
        return "fixed" if self._masks else "threshold" if self._steps else "dense"

    @torch.no_grad()
    def step(self, progress: float) -> None:
        """Project or mask after an optimiser step; ``progress`` is the share of training done, 0 to 1."""
        if self._masks:
            self.apply_masks()
        elif progress >= self.freeze:
            for name, parameter in self._parameters.items():
                self._masks[name] = largest(parameter, self._keep[name])
            self.apply_masks()
        elif progress >= self.start:
            if self._steps % self.every == 0:
                for name, parameter in self._parameters.items():
                    parameter.mul_(largest(parameter, self._keep[name]))
            self._steps += 1

    @torch.no_grad()
    def apply_masks(self, module: nn.Module | None = None) -> None:
        """Zero what lies off the fixed support, in the module given at first or in another of its shape.

        An average of past weights (EMA) still holds traces of entries that were dropped, so it needs this before use.
        """
        if not self._masks:
            raise InputError(
                f"HardThresholding: no support is fixed in phase {self.phase!r}; it is from progress freeze on"
            )
        parameters = self._parameters if module is None else dict(module.named_parameters())
        for name, mask in self._masks.items():
            if name not in parameters:
                raise InputError(f"HardThresholding: the module has no parameter {name!r}, which has a fixed support")
            parameters[name].mul_(mask.to(parameters[name].device))

    def state_dict(self) -> dict[str, Any]:
        """What an exact resume needs beside the weights: the steps counted and the fixed support."""
        return {"steps": self._steps, "masks": {name: mask.clone() for name, mask in self._masks.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over another run's ``state_dict``; its masks must be of this one's parameters."""
        masks = state["masks"]
        shapes = {name: tuple(mask.shape) for name, mask in masks.items()}
        expected = {name: tuple(parameter.shape) for name, parameter in self._parameters.items()}
        if masks and shapes != expected:
            raise InputError(f"HardThresholding: the state has masks {shapes}; they must be {expected}")
        self._steps = int(state["steps"])
        self._masks = {name: mask.to(self._parameters[name].device, torch.bool) for name, mask in masks.items()}


def largest(values: Tensor, count: int) -> Tensor:
    """Mask, bool and of the shape of ``values``, of exactly ``count`` entries of largest magnitude."""
    mask = torch.zeros(values.numel(), dtype=torch.bool, device=values.device)
    mask[values.abs().flatten().topk(count).indices] = True
    return mask.view(values.shape)


def _matching(module: nn.Module, densities: Mapping[str, float]) -> tuple[dict[str, nn.Parameter], dict[str, int]]:
    """Parameters that a pattern names, and for each the number of entries to keep (at least one)."""
    names = [name for name, parameter in module.named_parameters() if parameter.dim() >= 2]
    for pattern, fraction in densities.items():
        if not 0 < fraction <= 1:
            raise InputError(f"HardThresholding: the density of {pattern!r} is {fraction}; it must be in (0, 1]")
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(f"HardThresholding: no matrix fits the pattern {pattern!r}; there are {', '.join(names)}")
    parameters, keep = {}, {}
    for name, parameter in module.named_parameters():
        fitting = [fraction for pattern, fraction in densities.items() if fnmatchcase(name, pattern)]
        if name in names and fitting:
            parameters[name] = parameter
            keep[name] = max(1, round(fitting[0] * parameter.numel()))
    return parameters, keep
