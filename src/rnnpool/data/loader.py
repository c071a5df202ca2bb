"""Batches: collation of images with lists of boxes, and a loader whose order can be resumed at any batch."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from rnnpool.data.augment import TrainingSamples

Batch = tuple[Tensor, list[dict[str, Tensor]]]


def collate_detection(items: Sequence[tuple[Tensor, dict[str, Tensor]]]) -> Batch:
    """(image (C, S, S), target) pairs -> images (B, C, S, S) and the list of B targets."""
    images, targets = zip(*items, strict=True)
    return torch.stack(images), list(targets)


class EpochSampler(Sampler[int]):
    """A shuffled order that depends on (seed, epoch) alone, dealt out to ``world_size`` processes.

    The order is cut to a multiple of ``world_size * batch_size``, so that all processes see whole batches and equally
    many of them. ``set_epoch(epoch, first_batch)`` starts an epoch, or goes on in the middle of one.
    """

    def __init__(self, length: int, *, batch_size: int, seed: int = 0, rank: int = 0, world_size: int = 1):
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.first_batch = 0

    @property
    def batches(self) -> int:
        """Batches of a whole epoch, for each process."""
        return self.length // (self.batch_size * self.world_size)

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        self.epoch, self.first_batch = epoch, first_batch

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.length)
        mine = order[self.rank :: self.world_size][: self.batches * self.batch_size]
        yield from mine[self.first_batch * self.batch_size :].tolist()

    def __len__(self) -> int:
        return (self.batches - self.first_batch) * self.batch_size


class TrainingLoader(DataLoader[Batch]):
    """Batches of :class:`TrainingSamples` in the order of :class:`EpochSampler`: images (B, C, S, S) and B targets.

    Call ``set_epoch`` before iterating. A batch depends on (seed, epoch, number of the batch, rank) alone: not on
    ``workers``, nor on where a run was interrupted.

    Args:
        workers: processes that make samples; 0 makes them in this one.
    """

    def __init__(
        self,
        samples: TrainingSamples,
        *,
        batch_size: int,
        seed: int = 0,
        workers: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ):
        self.samples = samples
        self.order = EpochSampler(len(samples), batch_size=batch_size, seed=seed, rank=rank, world_size=world_size)
        super().__init__(
            samples,  # type: ignore[arg-type]  # torch types a loader by its samples, not by its batches
            batch_size=batch_size,
            sampler=self.order,
            collate_fn=collate_detection,
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """Choose the epoch, and the batch of it to begin with, of the next iteration."""
        self.samples.set_epoch(epoch)
        self.order.set_epoch(epoch, first_batch)
