"""Networks of the registry, with random weights and small images, compile and give the simulator's very numbers."""

import numpy as np
import pytest
import torch
from torch import nn

from rnnpool.compile.emit import compile_network, multiply_adds
from rnnpool.compile.host import HostNetwork
from rnnpool.compile.stages import build_stages
from rnnpool.cost.count import count
from rnnpool.errors import InputError
from rnnpool.integer.convert import convert
from rnnpool.models import create_model
from rnnpool.nn import RNNPool2d
from rnnpool.target.toolchain import missing_tools

needs_host_gcc = pytest.mark.skipif(missing_tools(["gcc"]) is not None, reason=f"host C: {missing_tools(['gcc'])}")

# What each adds: L2 norms, a predictor in groups and of stride 2; RNNPool in a classifier; no RNNPool at all; no row
# that outlives its arrival.
NETWORKS = {
    "face-quant": (3, 128, 128),
    "mobilenet_v2_035-rnnpool": (3, 72, 64),
    "mlperf_vww": (3, 40, 48),
    "pooled-rnnpool": (3, 32, 32),
}


def settled(model: nn.Module, shape: tuple[int, int, int]) -> tuple[nn.Module, list[np.ndarray]]:
    """The model with statistics in its batch norms, and the images that they are of."""
    images = list(np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.uint8))
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model((torch.from_numpy(np.stack(images)).float() - 128) / 128)
    return model.eval(), images


@needs_host_gcc
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_run_bit_for_bit(name, tmp_path):
    torch.manual_seed(0)
    module, images = settled(create_model(name), NETWORKS[name])
    network = convert(module, NETWORKS[name], images, method="minmax", narrow=True).network
    host = HostNetwork(compile_network(network, tmp_path), network)
    for ours, simulated in zip(host.run(images[1]), network.run(images[1]), strict=True):
        np.testing.assert_array_equal(ours, simulated)
        assert ours.std() > 10  # a network that says nothing would pass everything


@pytest.mark.parametrize("name", NETWORKS)
def test_multiply_adds_are_the_graphs(name):
    """No more are executed than what windows share, counted once."""
    module, shape = create_model(name), NETWORKS[name]
    images = [np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)]
    network = convert(module, shape, images, method="minmax").network
    assert sum(multiply_adds(node) for node in network.nodes) == count(module, shape).madds.shared


@needs_host_gcc
def test_fully_connected_layers_have_their_kernel(tmp_path):
    """A hidden one of bytes and a last one of int16, behind a mean, and no pair of tiles for what is one pixel."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(3, 20, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    layers += [nn.Linear(20, 12), nn.ReLU(), nn.Linear(12, 5)]
    images = list(np.random.default_rng(2).integers(0, 256, (2, 3, 12, 16)).astype(np.uint8))
    network = convert(nn.Sequential(*layers), (3, 12, 16), images, method="minmax").network
    assert [stage.dense for stage in build_stages(network)] == [False, False, False, True, True]
    host = HostNetwork(compile_network(network, tmp_path, name="net"), network)
    np.testing.assert_array_equal(host.run(images[0])[0], network.run(images[0])[0])


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Hardswish(), "hardswish"),
        (nn.MaxPool2d(2), "max"),
        (RNNPool2d(3, 4, 4, 4, 2, cell="gru"), "cell=gru"),
    ],
)
def test_unsupported_operators_are_named_before_any_c_is_made(layer, words):
    module = nn.Sequential(nn.Conv2d(3, 3, 1), layer)
    with pytest.raises(InputError, match=rf"operator .*{words}.* of module '1' has no integer form"):
        convert(module, (3, 8, 8), [np.zeros((3, 8, 8), np.uint8)])
