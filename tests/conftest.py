"""Fixtures for all tests."""

import pytest

from rnnpool.models import registry
from white_squares import BRIGHT_SQUARE


@pytest.fixture
def bright_square(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a detector that finds white squares, registered for the time of the test."""
    monkeypatch.setitem(registry._REGISTRY, BRIGHT_SQUARE.name, BRIGHT_SQUARE)
    return BRIGHT_SQUARE.name
