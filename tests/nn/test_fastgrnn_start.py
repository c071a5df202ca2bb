"""A fresh FastGRNN can learn, whatever its gates and the way it starts."""

import pytest
import torch

from rnnpool.nn import RNNPool2d
from rnnpool.nn.cells import GATES, INITS, FastGRNNCell, gate_values


@pytest.mark.parametrize("gates", GATES)
def test_the_orthogonal_start_has_a_long_memory(gates: str) -> None:
    cell = FastGRNNCell(3, 4, gates=gates, init="orthogonal")
    z, c = gate_values(torch.zeros(1, 4, 1, 1), cell.bias_gate, cell.bias_candidate, gates)
    assert torch.allclose(z, torch.full_like(z, 0.88), atol=0.005)
    assert not c.any()


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("gates", GATES)
def test_a_fresh_layer_is_open(gates: str, init: str) -> None:
    """Gates that are shut at the start (z = 1 everywhere) give 0 for every image, and no gradient."""
    torch.manual_seed(0)
    layer = RNNPool2d(3, 8, 8, 6, 4, gates=gates, init=init)
    y = layer(torch.randn(4, 3, 32, 32))
    assert y.std(dim=0).amax() > 1e-3
    y.square().mean().backward()
    assert all(parameter.grad.abs().amax() > 1e-5 for parameter in layer.parameters())
