"""The order of samples: one endless stream over the epochs, a pure function of the seed, so that any step of a run can
be reached without walking through those before it (exact resume costs nothing).

Sample p of the stream belongs to epoch p // n and is entry p % n of that epoch's permutation of n samples. No sample is
dropped or seen twice in an epoch: a batch may reach over the end of one epoch into the next.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from rnnpool.data.guarded import guarded_loader
from rnnpool.errors import InputError
from rnnpool.train.task import Batch, Plan


def mix_seed(*parts: int) -> int:
    """A 63-bit seed from non-negative integers; nearby parts give unrelated seeds (numpy's SeedSequence)."""
    if min(parts) < 0:
        raise InputError(f"a seed is {min(parts)}; it must be 0 or more")
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


class BatchDataset(Protocol):
    """A data set that makes whole batches, each sample a pure function of (its seed, epoch, index)."""

    def __len__(self) -> int: ...
    def batch(self, keys: Sequence[tuple[int, int]]) -> tuple[Any, Any]:
        """Inputs (B, ...), or what ``completed_batches`` makes them of, and targets of these (epoch, index) pairs."""


Order = Callable[[int, int], Tensor]  # (length, seed of an epoch) -> int64 (length,), a permutation


def shuffled(length: int, seed: int) -> Tensor:
    """All samples in random order."""
    return torch.randperm(length, generator=torch.Generator().manual_seed(seed))


class StreamSampler:
    """Yields, for each step of ``plan``, this process's (epoch, index) pairs; ``order`` permutes each epoch."""

    def __init__(self, length: int, plan: Plan, order: Order = shuffled) -> None:
        if length == 0:
            raise InputError("the training data is empty: 0 samples found")
        if plan.batch_size % plan.world:
            raise InputError(
                f"train.batch_size {plan.batch_size} counts all processes: "
                f"it must be a multiple of their number, {plan.world}"
            )
        self.length, self.plan, self.order = length, plan, order

    def __len__(self) -> int:
        return self.plan.last - self.plan.first

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, order = -1, torch.empty(0)
        for step in range(self.plan.first, self.plan.last):
            start = step * self.plan.batch_size
            pairs = []
            for position in range(start + self.plan.rank, start + self.plan.batch_size, self.plan.world):
                if position // self.length != epoch:
                    epoch = position // self.length
                    order = self.order(self.length, mix_seed(self.plan.seed, epoch))
                pairs.append((epoch, int(order[position % self.length])))
            yield pairs


class _Batches:
    """Makes a data set's batches (a class because workers may have to pickle it)."""

    def __init__(self, dataset: BatchDataset) -> None:
        self.dataset = dataset

    def __call__(self, keys: list[tuple[int, int]]) -> Batch:
        return Batch(*self.dataset.batch(keys), list(keys))


def stream_batches(dataset: BatchDataset, plan: Plan, order: Order = shuffled) -> Iterator[Batch]:
    """The plan's batches; the same for any number of workers. Their keys are (epoch, index) pairs."""
    keys = StreamSampler(len(dataset), plan, order)
    pin_memory = plan.device.type == "cuda"
    return guarded_loader(_Batches(dataset), keys, workers=plan.workers, seed=plan.seed, pin_memory=pin_memory)


def completed_batches(packed: Iterator[Batch], make: Callable[[Any], Tensor]) -> Iterator[Batch]:
    """Batches whose inputs were only drawn, with what ``make`` makes of them on the device that trains."""
    return (Batch(make(batch.inputs), batch.targets, batch.keys) for batch in packed)
