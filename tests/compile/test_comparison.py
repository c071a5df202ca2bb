"""What a compiled plan is compared with: maps by hand, a bound below it, its picture."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rnnpool.compile.comparison import compare, draw, layer_by_layer, phase_ends
from rnnpool.compile.schedule import Plan, plan_arena
from rnnpool.compile.stages import build_stages
from rnnpool.graph import lower
from rnnpool.integer.calibrate import METHODS, observe
from rnnpool.integer.fuse import fuse
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.quantise import quantise


class Net(nn.Module):
    """A stem, a residual, two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU())
        self.wide = nn.Sequential(nn.Conv2d(8, 32, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, 1, 1, groups=32), nn.ReLU())
        self.narrow = nn.Conv2d(32, 8, 1)
        self.classes = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.classes((x + self.narrow(self.wide(x))).mean((2, 3)))


@pytest.fixture(scope="module")
def network() -> IntNetwork:
    torch.manual_seed(0)
    batch = torch.randn(2, 3, 32, 24)
    lowered = fuse(lower(Net().eval(), (3, 32, 24), name="small"))
    return quantise(lowered, observe(lowered, [batch]), METHODS["minmax"])


def plan(network: IntNetwork, cuts: tuple[int, ...]) -> Plan:
    return plan_arena(build_stages(network), cuts)


def test_whole_maps_by_hand(network: IntNetwork) -> None:
    """The widest moment: 32 channels are read and 32 made, while the stem's 8 wait for the sum."""
    assert layer_by_layer(network) == 16 * 12 * (32 + 32 + 8)


@pytest.mark.parametrize("cuts", [(), (3,)])
def test_the_bound_is_below_the_plan(network: IntNetwork, cuts: tuple[int, ...]) -> None:
    found = plan(network, cuts)
    others = dict(compare(found, network))
    (bound,) = (size for name, size in others.items() if "bound" in name)
    assert 2 * 12 * 32 <= bound <= found.placement.least < found.bytes < others["layer by layer, whole maps"]
    assert not any("paper" in name for name in others)


def test_moments_of_phases_are_those_of_the_pieces(network: IntNetwork) -> None:
    found = plan(network, (3,))
    ends = phase_ends(found)
    moments = sum(1 + len(entries) for entries in found.acts)
    assert len(ends) == 2
    assert ends[-1] == moments
    assert max(last for buffer in found.buffers for _, last in buffer.spans) in (moments - 1, moments)
    assert moments - len(found.acts[-1]) <= ends[0] < moments


def test_it_is_drawn(network: IntNetwork, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw(plan(network, ()), network, tmp_path / "plan.svg")
    assert "small, 3x32x24, as C" in (tmp_path / "plan.svg").read_text()
