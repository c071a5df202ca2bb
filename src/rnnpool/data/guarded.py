"""Errors of the user's data out of workers that load, as they are.

torch hands on a worker's exception as one whose message is the worker's whole traceback. Here what makes a batch
returns an InputError instead of raising it, and the process that asked for the batch raises it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from torch.utils.data import Dataset

from rnnpool.errors import InputError

T = TypeVar("T")


class Guarded(Dataset):
    """A data set for a loader: ``make`` turns what the loader asks for, a number or a list of keys, into a batch."""

    def __init__(self, make: Callable[[Any], Any], length: int = 0) -> None:
        self.make, self.length = make, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.make(key)
        except InputError as error:
            return error

    def __getitems__(self, keys: list[Any]) -> Any:
        return self[keys]


def unguarded(loader: Iterable[T | InputError]) -> Iterator[T]:
    """The batches of a loader over a ``Guarded``; raises the first error among them."""
    for batch in loader:
        if isinstance(batch, InputError):
            raise batch
        yield batch


def as_it_is(batch: T) -> T:
    """For a loader's ``collate_fn``: the data set makes whole batches."""
    return batch
