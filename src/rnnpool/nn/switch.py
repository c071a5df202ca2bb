"""Whether sweeps and projections may leave torch operators at all: one switch for the kernels of every device."""

from collections.abc import Iterator
from contextlib import contextmanager

_enabled = True


def enabled() -> bool:
    """False inside ``disabled()``."""
    return _enabled


@contextmanager
def disabled() -> Iterator[None]:
    """Torch operators inside the block, on every device."""
    global _enabled
    before, _enabled = _enabled, False
    try:
        yield
    finally:
        _enabled = before
