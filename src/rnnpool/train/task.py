"""What the loop needs to know of a task (detection, classification, ...), and nothing more."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Batch(NamedTuple):
    """One step's data of one process: B samples."""

    inputs: Tensor  # (B, ...)
    targets: Any
    keys: list[Any]  # (B,) what Task.describe turns into names, should the batch have to be named


@dataclass(frozen=True)
class Plan:
    """Which batches this process trains on: its share of steps ``first``..``last``-1 of the run.

    A run is one endless stream of samples, epoch after epoch; step k takes samples k*batch_size..(k+1)*batch_size-1 of
    it (``batch_size`` counts all processes together) and process ``rank`` of ``world`` takes every world-th of these.
    """

    first: int
    last: int
    batch_size: int
    rank: int
    world: int
    seed: int
    workers: int
    device: torch.device  # that the process trains on


@dataclass(frozen=True)
class Sight:
    """What a network sees in use.

    Attributes:
        images: of the training set, bytes (C, H, W) each, to calibrate on.
        shape: (C, H, W) that the network is meant for.
        mean, std: grey levels; it is given (v - mean) / std. One number for all channels, or one a channel.
    """

    images: Sequence[NDArray[np.uint8]]
    shape: tuple[int, int, int]
    mean: tuple[float, ...] = (128.0,)
    std: tuple[float, ...] = (128.0,)


class Task(Protocol):
    """One kind of training. Randomness inside ``loss`` must come from torch's default generator: the loop seeds it
    anew for every step, which is what makes a resumed run equal an unbroken one."""

    main_metric: str  # the key of evaluate()'s result by which the best weights are chosen; larger is better
    epoch_length: int  # samples in one epoch
    data_digest: str  # of the names of classes and samples (rnnpool.data.digest): another for other data

    def about_data(self) -> str:
        """What the data hold, in a line for people; empty if ``epoch_length`` says it all."""

    def build_model(self) -> nn.Module:
        """The model to train, on the CPU, initialised (from torch's default generator or from a file)."""

    def batches(self, plan: Plan) -> Iterable[Batch]:
        """The batches of ``plan`` in order: a pure function of the plan, however many workers load them."""

    def describe(self, key: Any) -> str:
        """The name of the sample of ``Batch.keys``, e.g. the path of its image."""

    def loss(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Named scalar terms whose sum is minimised; means over samples, so that processes can be averaged."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Figures on held-out data; ``model`` is in eval mode. Called on the first process only."""

    def sight(self, count: int) -> Sight:
        """What the network will see in use, with ``count`` training images. Asked for if ``train.quantize`` is set."""

    def export(self, model: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the weights for use outside training (.safetensors)."""
