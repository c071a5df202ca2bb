"""All images of a set that cannot be read, once one of them could not: to be mended in one go, not one a run.

Sets are not looked through beforehand: that takes as long as an epoch's decoding, and most are whole.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from rnnpool.errors import InputError
from rnnpool.images import UnreadableImage

if TYPE_CHECKING:
    from rnnpool.data.pixel_cache import Pixels

_AT_ONCE = 64  # images between two looks at the clock
_SHOWN = 20


@contextmanager
def all_unreadable_named(*sets: "Pixels", seconds: float = 60.0) -> Iterator[None]:
    """Where an image turns out to be unreadable inside the block, look for others and name them all.

    Args:
        sets: where to look.
        seconds: after that the search ends, and the message says how far it came.

    Raises:
        InputError: instead of ``UnreadableImage``; other errors pass.
    """
    try:
        yield
    except UnreadableImage as error:
        problems, seen, total = _look(list({id(each): each for each in sets}.values()), seconds)
        if len(problems) < 2:
            raise
        looked_at = f"{total:,}" if seen == total else f"the first {seen:,} (there are {total:,})"
        listed = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
        rest = f"\n  and {len(problems) - _SHOWN:,} more" if len(problems) > _SHOWN else ""
        heading = f"{len(problems):,} of {looked_at} images cannot be read; remove or replace them:"
        raise InputError(f"{heading}{listed}{rest}") from error


def _look(sets: "list[Pixels]", seconds: float) -> tuple[list[str], int, int]:
    """The messages, how many images were looked at, and how many there are."""
    end, seen, total = time.monotonic() + seconds, 0, sum(len(each) for each in sets)
    problems: list[str] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow lets go of the interpreter while it decodes
        for each in sets:
            for first in range(0, len(each), _AT_ONCE):
                numbers = range(first, min(first + _AT_ONCE, len(each)))
                problems += [text for text in pool.map(partial(_problem, each), numbers) if text is not None]
                seen += len(numbers)
                if time.monotonic() > end:
                    return problems, seen, total
    return problems, seen, total


def _problem(pixels: "Pixels", number: int) -> str | None:
    try:
        pixels[number]
    except UnreadableImage as error:
        return str(error)
    return None
