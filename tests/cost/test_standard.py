"""The standard convention: the paper's peaks, exactly, and hand-made blocks of each kind."""

from itertools import permutations

import pytest
import torch
from torch import Tensor, nn

from rnnpool.cost.standard import standard_peak
from rnnpool.graph import lower
from rnnpool.models import create_model, model_info

MIB, KIB = 1 << 20, 1 << 10


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("mobilenet_v2-rnnpool", 0.239),
        ("efficientnet_b0-rnnpool", 0.251),
        ("resnet18-rnnpool", 0.383),
        ("densenet121-rnnpool", 0.766),
        ("mobilenet_v1-rnnpool", 0.766),
        ("googlenet-rnnpool", 0.778),
        ("resnet18", 3.062),
        ("densenet121", 3.062),
        ("googlenet", 3.062),
        ("mobilenet_v1", 3.062),
        ("mobilenet_v2", 2.297),
        ("efficientnet_b0", 2.297),
        ("face-a", 1.172),
        ("face-b", 1.758),
        ("face-c", 6.445),
    ],
)
def test_the_papers_peaks_in_float32(name: str, peak: float) -> None:
    assert round(standard_peak(create_model(name), model_info(name).input_size).peak / MIB, 3) == peak


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v1", "resnet18"])
def test_an_rnnpool_as_the_last_pooling_saves_nothing(name: str) -> None:
    shape = model_info(name).input_size
    assert standard_peak(create_model(f"{name}-last"), shape).peak == standard_peak(create_model(name), shape).peak


def test_face_quant_in_int8() -> None:
    peak = standard_peak(create_model("face-quant"), (3, 480, 640), dtype="int8")
    assert peak.peak == 225 * KIB == 80 * 60 * (32 + 16)
    assert peak.block.kind == "inverted residual"


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 9, 3, padding=1), nn.Conv2d(9, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.b(torch.relu(self.a(x))))


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(4, c, 1) for c in (5, 3, 2, 7))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(7, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        return torch.cat([x, y, self.b(torch.cat([x, y], 1))], 1)


class Outputs(nn.Module):
    """Outputs in the order asked for: "wide" and "narrow" have equally many layers before them, "early" is one."""

    def __init__(self, order: tuple[str, ...]) -> None:
        super().__init__()
        self.order, self.early = order, nn.Conv2d(3, 4, 3, padding=1)
        self.wide, self.narrow = nn.Conv2d(4, 64, 3, padding=1), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        early = self.early(x)
        outputs = {"early": early, "wide": self.wide(early), "narrow": self.narrow(early)}
        return [outputs[name] for name in self.order]


INVERTED = nn.Sequential(
    nn.Conv2d(4, 24, 1), nn.ReLU6(), nn.Conv2d(24, 24, 3, 2, 1, groups=24), nn.ReLU6(), nn.Conv2d(24, 6, 1)
)
SEPARABLE = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.ReLU(), nn.Conv2d(4, 9, 1), nn.ReLU())


@pytest.mark.parametrize(
    ("block", "kind", "numbers"),
    [
        (Residual(), "residual", 64 * 4),
        (Inception(), "inception", 64 * (4 + 5 + 3 + 2)),
        (Dense(), "dense", 64 * 10),
        (INVERTED, "inverted residual", 64 * 4 + 16 * 6),
        (SEPARABLE, "separable", 64 * 9),
        (nn.MaxPool2d(2), "pool", 64 * 4),
        (nn.Conv2d(4, 5, 3, padding=1), "conv", 64 * 5),
        (nn.Conv2d(4, 3, 1), "1x1", 64 * 4),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_kind_of_block(block: nn.Module, kind: str, numbers: int) -> None:
    """After a stem, so that the input is not the image; before a layer that is small."""
    graph = lower(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), block), (3, 8, 8))
    found = standard_peak(graph).blocks[1]
    assert (found.kind, found.numbers) == (kind, numbers)


@pytest.mark.parametrize(
    ("outputs", "numbers"),
    [(("early", "wide"), 64 * 64), (("early", "wide", "narrow"), 64 * 4)],
    ids=["deepest", "tie"],
)
def test_the_order_of_the_outputs_changes_nothing(outputs: tuple[str, ...], numbers: int) -> None:
    """The deepest decides, of several the last that the network computes."""
    peaks = {standard_peak(Outputs(order), (3, 8, 8)).peak for order in permutations(outputs)}
    assert peaks == {4 * numbers}
