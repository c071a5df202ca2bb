"""RNNPool2d with weights that something else computes: pruning's hooks, parametrisations."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

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


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_pruned_weights_train(options: dict) -> None:
    """torch.nn.utils.prune masks the weights anew before each call of the cell that holds them."""
    layer, x = layer_of(options), image()
    for cell in (layer.rnn1, layer.rnn2):
        prune.l1_unstructured(cell, "weight_hidden", 0.5)
    optimiser = torch.optim.SGD(layer.parameters(), 0.1)
    for _ in range(3):
        optimiser.zero_grad()
        layer(x).square().sum().backward()
        optimiser.step()
    y = layer(x)
    for cell in (layer.rnn1, layer.rnn2):
        assert torch.equal(cell.weight_hidden, cell.weight_hidden_orig * cell.weight_hidden_mask)
        prune.remove(cell, "weight_hidden")
    assert_near(layer(x), y)


def test_parametrized_weights_are_computed_once_where_cached() -> None:
    class Doubled(nn.Module):
        calls = 0

        def forward(self, weight: Tensor) -> Tensor:
            Doubled.calls += 1
            return 2 * weight

    layer, doubled, x = layer_of(), layer_of(), image()
    for cell in (layer.rnn1, layer.rnn2):
        parametrize.register_parametrization(cell, "weight_hidden", Doubled())
    with torch.no_grad():
        for cell in (doubled.rnn1, doubled.rnn2):
            cell.weight_hidden.mul_(2)
    Doubled.calls = 0
    with parametrize.cached():
        y = layer(x)
    assert Doubled.calls == 2
    assert_near(y, doubled(x))
