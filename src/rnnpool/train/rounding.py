"""Quantisation-aware training: a network that computes as its integers will, and learns through the rounding.

(Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018.) ``make_rounding`` lets a module's forward pass run ``rnnpool.integer.imitation``; parameters, their names and
everything else of the module stay. Batch norms are folded with the statistics that they have, which no longer change.
Ranges are found once, before the training, and are written beside the weights, for ``rnnpool quantize``.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from rnnpool.errors import InputError
from rnnpool.graph import Graph, lower
from rnnpool.integer.calibrated import Calibrated
from rnnpool.integer.convert import convert
from rnnpool.integer.fuse import fuse
from rnnpool.integer.imitation import imitate
from rnnpool.integer.module import viewed
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.real_network import RealNetwork
from rnnpool.models.detector import Detector
from rnnpool.train.recipe import RoundingRecipe
from rnnpool.train.task import Sight, Task


def start_rounding(module: nn.Module, task: Task, settings: RoundingRecipe, known: str | None) -> Calibrated:
    """Let ``module`` round, with the ranges of the run that goes on (``known``, JSON), or those that suit it now."""
    sight = task.sight(0 if known else settings.images)
    calibrated = Calibrated.from_json(known) if known else calibrate(module, sight, settings)
    make_rounding(module, calibrated, sight)
    return calibrated


def calibrate(module: nn.Module, sight: Sight, settings: RoundingRecipe) -> Calibrated:
    """The ranges with which ``module`` as it is loses least.

    Raises:
        InputError: an operator without integers.
    """
    conversion = convert(
        viewed(module, sight.mean, sight.std),
        sight.shape,
        sight.images,
        narrow=settings.state_bits == 8,
        nibbles=settings.nibbles,
    )
    return conversion.calibrated


def make_rounding(module: nn.Module, calibrated: Calibrated, sight: Sight) -> None:
    """Let ``module`` compute with the rounding of ``calibrated`` from now on, copies of it too."""
    kind = type(module)
    if issubclass(kind, _Rounding):
        raise InputError(f"{kind.__name__} rounds already")
    module._rounded = _Rounded(kind, calibrated, sight.shape, sight.mean, sight.std)  # type: ignore[assignment]
    # A class of its own rather than a wrapper: names of parameters, and what else the network can, stay (as in
    # torch.nn.utils.parametrize).
    module.__class__ = type(f"Rounding{kind.__name__}", (_Rounding, kind), {})


class _Rounding(nn.Module):
    _rounded: "_Rounded"

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        return self._rounded.run(self, x)


@dataclass
class _Rounded:
    """The forward pass of a module that was a ``kind``.

    The graph is kept while the module's tensors are the same objects (they are not after a move to another device), the
    integers while their values are, which makes evaluation fast.
    """

    kind: type[nn.Module]
    calibrated: Calibrated
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    _tensors: list[Tensor] = field(default_factory=list)
    _graph: Graph | None = None
    _versions: list[int] = field(default_factory=list)
    _networks: tuple[RealNetwork, IntNetwork] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Rounded":
        return _Rounded(self.kind, self.calibrated, self.shape, self.mean, self.std)

    def run(self, module: nn.Module, x: Tensor) -> Tensor | list[Tensor]:
        real, network = self._current(module)
        mean, std = (x.new_tensor(values).reshape(-1, 1, 1) for values in (self.mean, self.std))
        outputs = imitate(real, network, (x * std + mean - 128) / 128)
        return outputs if issubclass(self.kind, Detector) or len(outputs) > 1 else outputs[0]

    def _current(self, module: nn.Module) -> tuple[RealNetwork, IntNetwork]:
        tensors = [*module.parameters(), *module.buffers()]
        same = len(tensors) == len(self._tensors) and all(a is b for a, b in zip(tensors, self._tensors, strict=True))
        if self._graph is None or not same:
            plain = copy.copy(module)  # with the same tensors
            plain.__class__ = self.kind
            self._graph = lower(viewed(plain, self.mean, self.std), self.shape)
            self._tensors, self._networks = tensors, None
        if torch.is_grad_enabled():
            return self._made(self._graph)
        versions = [tensor._version for tensor in tensors]
        if self._networks is None or versions != self._versions:
            self._networks, self._versions = self._made(self._graph), versions
        return self._networks

    def _made(self, graph: Graph) -> tuple[RealNetwork, IntNetwork]:
        real = fuse(graph)
        return real, self.calibrated.quantise(real)
