"""RNNPool2d with weights that something else computes: pruning's hooks, parametrisations."""

import pytest
import torch
from small_layer import OPTIONS, assert_near, image, layer_of
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune


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
