"""Every tensor that compiled networks hold is the simulator's; a difference is named by layer and place.

And what each stage takes, the other thing that one may want to see of their inside.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from rnnpool.compile import trace as trace_module
from rnnpool.compile.emit import Compiled, compile_network
from rnnpool.compile.exactness import simulate_image
from rnnpool.compile.firmware import run_on_chip
from rnnpool.compile.trace import Trace, TracedNetwork, traced_tensors, untraced_tensors
from rnnpool.integer.convert import convert
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.network import IntNetwork
from rnnpool.models.blocks import MBConv
from rnnpool.nn import RNNPool2d
from rnnpool.target.toolchain import missing_tools

needs_toolchain = pytest.mark.skipif(missing_tools() is not None, reason=f"firmware: {missing_tools()}")
pytestmark = pytest.mark.skipif(missing_tools(["gcc"]) is not None, reason=f"host C: {missing_tools(['gcc'])}")


class Everything(nn.Module):
    """RNNPool, a residual that is added in place, a pair of 1x1, a depthwise of stride 2, groups, a border, a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3, 2, 1)
        self.pool = RNNPool2d(5, 6, 4, 6, 3, output_padding="replicate")
        self.block = MBConv(16, 24, 16)
        self.pair = nn.Sequential(nn.Conv2d(16, 24, 1), nn.ReLU(), nn.Conv2d(24, 8, 1))
        self.down = MBConv(8, 32, 8, 2)
        self.groups = nn.Conv2d(8, 4, 3, padding=1, groups=2)
        self.linear = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pair(self.block(self.pool(torch.relu(self.stem(x)))))
        return self.linear(torch.relu(self.groups(self.down(x))).mean((2, 3)))


@pytest.fixture(scope="module")
def network() -> IntNetwork:
    torch.manual_seed(0)
    images = list(np.random.default_rng(0).integers(0, 256, (4, 3, 52, 41)).astype(np.uint8))
    return convert(Everything().eval(), (3, 52, 41), images, name="everything", method="minmax", narrow=True).network


@pytest.fixture(scope="module")
def images(network: IntNetwork) -> list[np.ndarray]:
    return list(np.random.default_rng(1).integers(0, 256, (2, *network.image.shape)).astype(np.uint8))


@pytest.fixture(scope="module")
def compiled(network: IntNetwork, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return compile_network(network, tmp_path_factory.mktemp("traced"))


def test_all_tensors_are_traced_or_named(network: IntNetwork, compiled: Compiled) -> None:
    traced = [network.nodes[number].name for number in traced_tensors(compiled.plan, network)]
    fused = untraced_tensors(compiled.plan, network)
    assert fused == ["pair.0", "down.body.0.0"]  # of a pair, and before a depthwise convolution of stride 2
    outputs = [network.nodes[number].name for number in network.outputs]
    assert sorted(traced + fused + outputs) == sorted(node.name for node in network.nodes)


def test_tensors_on_the_host(network: IntNetwork, compiled: Compiled, images: list[np.ndarray]) -> None:
    host = TracedNetwork(compiled, network)
    for image in images:
        truth = simulate_image(network, None, image, 0)
        for ours, simulated in zip(host.run(image), truth.outputs, strict=True):
            np.testing.assert_array_equal(ours, simulated)
        assert host.trace.find_difference(truth.tensors) is None
        assert all(tensor.std() > 5 for tensor in host.trace.tensors.values())  # tensors that say something
        assert host.trace.numbers > image.size


def test_a_wrong_layer_is_named_with_the_place(
    network: IntNetwork, compiled: Compiled, images: list[np.ndarray]
) -> None:
    """The simulator of a network in which one bias of one layer is another."""
    host = TracedNetwork(compiled, network)
    host.run(images[0])
    number = next(i for i, node in enumerate(network.nodes) if node.name == "block.body.2.0")
    op = network.nodes[number].op
    assert isinstance(op, IntConv)
    bias = op.bias.copy()
    bias[7] += 40000
    nodes = list(network.nodes)
    nodes[number] = replace(nodes[number], op=replace(op, bias=bias))
    truth = simulate_image(replace(network, nodes=tuple(nodes)), None, images[0], 0)
    difference = host.trace.find_difference(truth.tensors)
    assert difference is not None
    assert difference.startswith("layer block.body.2.0, row 0, channel 7, pixel ")
    y = [host.trace.tensors[number][7, 0].tolist(), truth.tensors[number][7, 0].tolist()]
    x = next(x for x in range(len(y[0])) if y[0][x] != y[1][x])
    assert difference.endswith(f"pixel {x}: {y[0][x]}, where the simulator has {y[1][x]}")


def test_rows_come_once_and_in_turn(network: IntNetwork, compiled: Compiled, images: list[np.ndarray]) -> None:
    trace = Trace(compiled.plan, network)
    row = np.zeros((3, 44), np.uint8)
    trace.add(0, 0, row)
    for wrong in (0, 2):
        with pytest.raises(RuntimeError, match=f"row {wrong} of image is made where row 1 was to come"):
            trace.add(0, wrong, row)
    truth = simulate_image(network, None, images[0], 0)
    truth.tensors[0][:, 0] = 0
    assert trace.find_difference(truth.tensors) == "layer image made 1 of its 52 rows"


def test_a_problem_within_a_callback_is_not_lost(
    network: IntNetwork, compiled: Compiled, images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = TracedNetwork(compiled, network)
    add = Trace.add
    monkeypatch.setattr(
        trace_module.Trace, "add", lambda self, tensor, row, pixels: add(self, tensor, row + (row == 3), pixels)
    )
    with pytest.raises(RuntimeError, match="row 4 of image is made where row 3 was to come"):
        host.run(images[0])


@needs_toolchain
def test_tensors_on_the_chip(network: IntNetwork, compiled: Compiled, images: list[np.ndarray]) -> None:
    plain, traced = (run_on_chip(compiled, network, images, traced=traced) for traced in (False, True))
    assert plain.traces is None
    assert traced.traces is not None
    assert traced.flash > plain.flash  # of which nothing is in the code that is shipped
    for image, trace in zip(images, traced.traces, strict=True):
        assert trace.find_difference(simulate_image(network, None, image, 0).tensors) is None


@needs_toolchain
def test_instructions_by_stage(network: IntNetwork, compiled: Compiled, images: list[np.ndarray]) -> None:
    plain, timed = (run_on_chip(compiled, network, images[:1], timed=timed) for timed in (False, True))
    assert plain.stages is None
    assert timed.stages is not None
    assert len(timed.stages) == len(compiled.plan.stages)
    assert all(count > 0 for count in timed.stages)
    assert sum(timed.stages) == pytest.approx(plain.instructions[0], rel=0.02)
    pool = [stage.kind for stage in compiled.plan.stages].index("rnnpool")
    assert timed.stages[pool] == max(timed.stages)
