"""Modules that the graph keeps whole: what others put on them, wrappers and hooks, is refused or counted once."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnpool.errors import InputError
from rnnpool.graph import lower
from rnnpool.nn import RNNPool2d
from rnnpool.nn.renet import ReNet2d

SHAPE = (3, 9, 9)


class Rectified(RNNPool2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x))


def patched() -> RNNPool2d:
    """As wrappers do it that run something before or after."""
    layer = RNNPool2d(3, 2, 2, 3)
    inner = layer.forward
    layer.forward = lambda x: inner(x) * 2
    return layer


@pytest.mark.parametrize("make", [patched, lambda: Rectified(3, 2, 2, 3)], ids=["instance", "subclass"])
def test_another_forward_is_refused_and_left_alone(make: Callable[[], RNNPool2d]) -> None:
    layer = make()
    before = dict(vars(layer))
    with pytest.raises(InputError, match=r"module '1' \(\w+\) has another forward than RNNPool2d's"):
        lower(nn.Sequential(nn.Conv2d(3, 3, 1), layer), SHAPE)
    with pytest.raises(InputError, match=r"the network \(\w+\) has another forward"):
        lower(layer, SHAPE)
    assert vars(layer) == before


def test_the_classs_own_forward_on_the_instance_stays_there() -> None:
    """What wrappers leave when they are taken off."""
    layer = RNNPool2d(3, 2, 2, 3)
    layer.forward = own = layer.forward
    assert [node.kind for node in lower(nn.Sequential(layer), SHAPE)] == ["image", "rnnpool"]
    assert vars(layer)["forward"] is own


@pytest.mark.parametrize("layer", [RNNPool2d(3, 2, 2, 3), ReNet2d(3, 4, 3)], ids=["rnnpool", "renet"])
def test_what_a_hook_adds_is_computed_once(layer: nn.Module) -> None:
    layer.register_forward_hook(lambda _module, _inputs, y: y * 2)
    network = nn.Sequential(layer).eval()
    image = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    (found,) = lower(network, SHAPE).run(image)
    with torch.no_grad():
        torch.testing.assert_close(found, network(image), rtol=0, atol=1e-6)
