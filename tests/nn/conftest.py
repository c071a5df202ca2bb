"""Both ways a FastGRNN sweep can go, as fixtures."""

from collections.abc import Iterator

import pytest
from sweep_paths import HERE, PATHS

from rnnpool.nn import native


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs once in the native kernel and once in torch operators."""
    if request.param not in HERE:
        pytest.skip(native.status())
    with PATHS[request.param]():
        yield request.param
