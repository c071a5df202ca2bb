"""Loaders whose workers hand on errors of the user's data as they are, and leave signals to the process that asks.

torch hands on a worker's exception as one whose message is the worker's whole traceback. Here what makes a batch
returns an InputError instead of raising it, and the process that asked for the batch raises it.
"""

import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from rnnpool.errors import InputError

K = TypeVar("K")
T = TypeVar("T")


class _Guarded(Dataset):
    """``make`` turns what the loader asks for into a batch."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.make = make

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.make(key)
        except InputError as error:
            return error

    def __getitems__(self, keys: Any) -> Any:
        return self[keys]


def guarded_loader(
    make: Callable[[K], T], keys: Iterable[K], *, workers: int, seed: int = 0, pin_memory: bool = False
) -> Iterator[T]:
    """``make(key)`` for every key, in order.

    Args:
        workers: processes that make batches ahead; 0: this one, when a batch is asked for.
        seed: of the loader's own generator; it would draw from the default one, which belongs to the training.
        pin_memory: batches come in memory that a GPU reads by itself.
    """
    loader = DataLoader(
        _Guarded(make),
        batch_sampler=keys,  # type: ignore[arg-type]  # it may be any iterable
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=pin_memory,
        worker_init_fn=_leave_signals_to_the_loop,
        generator=torch.Generator().manual_seed(seed),
    )
    for batch in loader:
        if isinstance(batch, InputError):
            raise batch
        yield batch


def _as_it_is(batch: T) -> T:
    return batch


def _leave_signals_to_the_loop(worker: int) -> None:
    """Ctrl-C, and SIGTERM from whoever ends a whole group or service, reach workers too; they go on serving until the
    process that they serve has saved and ends them, or is gone, which they notice themselves. One that is stuck in a
    read holds up the end until it has read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
