"""A layer of a few units in float64, and an image for it: for tests that compare two ways to the same numbers."""

import torch
from torch import Tensor

from rnnpool.nn import RNNPool2d

OPTIONS = [{}, {"trainable_mix": True, "gates": "piecewise"}, {"cell": "gru"}]


def layer_of(options: dict | None = None, seed: int = 0) -> RNNPool2d:
    """Small, in float64, with gates that matter."""
    torch.manual_seed(seed)
    layer = RNNPool2d(2, 3, 2, (3, 2), (2, 1), (0, 1), **(options or {})).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.4)
    return layer


def image(batch: int = 2) -> Tensor:
    return torch.randn(batch, 2, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def assert_near(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)
