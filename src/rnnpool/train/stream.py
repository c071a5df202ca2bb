"""The order of samples: one endless stream over the epochs, a pure function of the seed, so that any step of a run can
be reached without walking through those before it (exact resume costs nothing).

Sample p of the stream belongs to epoch p // n and is entry p % n of that epoch's permutation of n samples. No sample is
dropped or seen twice in an epoch: a batch may reach over the end of one epoch into the next.
"""

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from rnnpool.data.guarded import Guarded, as_it_is, unguarded
from rnnpool.errors import InputError
from rnnpool.train.task import Batch, Plan


def mix_seed(*parts: int) -> int:
    """A 63-bit seed from non-negative integers; nearby parts give unrelated seeds (numpy's SeedSequence)."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


class EpochDataset(Protocol):
    """A map-style data set whose random augmentation is a pure function of (its seed, epoch, index)."""

    def __len__(self) -> int: ...
    def set_epoch(self, epoch: int) -> None: ...
    def __getitem__(self, index: int) -> Any: ...


class BatchDataset(Protocol):
    """A data set that makes whole batches, each sample a pure function of (its seed, epoch, index)."""

    def __len__(self) -> int: ...
    def batch(self, keys: Sequence[tuple[int, int]]) -> tuple[Any, Any]:
        """Inputs and targets of these (epoch, index) pairs, as of ``stream_loader``'s ``collate``."""


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


class _Items:
    """Makes batches of single items. The epoch travels with the index, so that workers live as long as the run."""

    def __init__(self, dataset: EpochDataset, collate: Callable[[Sequence[Any]], tuple[Any, Any]]) -> None:
        self.dataset, self.collate = dataset, collate
        self.epoch = -1

    def __call__(self, keys: list[tuple[int, int]]) -> Batch:
        return Batch(*self.collate([self._item(*key) for key in keys]), list(keys))

    def _item(self, epoch: int, index: int) -> Any:
        if epoch != self.epoch:
            self.dataset.set_epoch(epoch)
            self.epoch = epoch
        return self.dataset[index]


class _Whole:
    """Has a BatchDataset make the batches."""

    def __init__(self, dataset: BatchDataset) -> None:
        self.dataset = dataset

    def __call__(self, keys: list[tuple[int, int]]) -> Batch:
        return Batch(*self.dataset.batch(keys), list(keys))


def _leave_signals_to_the_loop(worker: int) -> None:
    """Ctrl-C, and SIGTERM from whoever ends a whole group or service, reach workers too; they go on serving until the
    loop has saved and tells them to end (or is gone, which they notice themselves)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def stream_loader(
    dataset: EpochDataset, plan: Plan, collate: Callable[[Sequence[Any]], tuple[Any, Any]]
) -> Iterable[Batch]:
    """A loader of the plan's batches; the same batches for any number of workers (0: loaded in this process).

    Args:
        collate: items of the data set -> (inputs, targets), as a ``Batch`` has them or as what completes it wants
            them. The batches' keys are (epoch, index) pairs.
    """
    return _loader(_Items(dataset, collate), StreamSampler(len(dataset), plan), plan)


def stream_batches(dataset: BatchDataset, plan: Plan, order: Order = shuffled) -> Iterable[Batch]:
    """As ``stream_loader``, for data sets that make whole batches, in another order if wanted."""
    return _loader(_Whole(dataset), StreamSampler(len(dataset), plan, order), plan)


def _loader(
    make: Callable[[list[tuple[int, int]]], Batch], batches: Iterable[list[Any]], plan: Plan
) -> Iterable[Batch]:
    loader = DataLoader(
        Guarded(make),
        batch_sampler=batches,
        num_workers=plan.workers,
        collate_fn=as_it_is,
        pin_memory=plan.device.type == "cuda",
        worker_init_fn=_leave_signals_to_the_loop,
        generator=torch.Generator().manual_seed(plan.seed),  # else it would draw from the default generator
    )
    return unguarded(loader)
