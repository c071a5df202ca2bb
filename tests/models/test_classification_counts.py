"""Parameters and multiply-adds of the classifiers against closed formulas written here and published figures."""

import pytest
import torch

from rnnpool.cost import count
from rnnpool.models import create_model, list_models
from rnnpool.models.classification.family import VARIANTS

FAMILIES = (
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v2_035",
    "efficientnet_b0",
    "resnet18",
    "densenet121",
    "googlenet",
)

# rnnpool.md section 5: parameters and multiply-adds (the paper's half count) in millions, as printed there.
PUBLISHED = {
    "mobilenet_v1-rnnpool": ("4.118", "417.0"),
    "densenet121-rnnpool": ("5.604", "1240.4"),
    "mobilenet_v2-rnnpool": ("2.217", "240.8"),
    "efficientnet_b0-rnnpool": ("3.993", "322.4"),
    "resnet18-rnnpool": ("10.513", "1119.9"),
    "googlenet-rnnpool": ("4.875", "904.8"),
}

# Table 1, where literal counting meets the paper: parameters in millions (bases and last poolings).
TABLE_1 = {"mobilenet_v2": 2.2, "densenet121": 6.96, "densenet121-rnnpool": 5.60, "densenet121-rnnpool-last": 6.06}


def on_meta(name: str, **options: object) -> torch.nn.Module:
    with torch.device("meta"):
        return create_model(name, **options)


def parameters(name: str, **options: object) -> int:
    return sum(p.numel() for p in on_meta(name, **options).parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_rnnpool_networks_have_the_known_counts(name: str) -> None:
    cost = count(on_meta(name), (3, 224, 224))
    assert (f"{cost.parameters / 1e6:.3f}", f"{cost.madds.paper / 1e6:.1f}") == PUBLISHED[name]


@pytest.mark.parametrize("name", TABLE_1)
def test_parameters_of_table_1(name: str) -> None:
    assert parameters(name) / 1e6 == pytest.approx(TABLE_1[name], abs=0.05 if name == "mobilenet_v2" else 0.005)


def bn(c: int) -> int:
    return 2 * c


def inverted(c_in: int, t: int, c: int) -> int:
    e = t * c_in
    expand = c_in * e + bn(e) if t != 1 else 0
    return expand + 9 * e + bn(e) + e * c + bn(c)


def fastgrnn(d: int, h: int) -> int:
    return h * d + h * h + 2 * h


def mobilenet_v2_rnnpool(stem: int, hidden: int, widths: tuple[int, ...], last: int, classes: int) -> int:
    """conv 3x3; RNNPool; [t=6] widths x (4, 3, 3, 1); conv 1x1; linear: rnnpool.md section 5."""
    total = 27 * stem + bn(stem) + fastgrnn(stem, hidden) + fastgrnn(hidden, hidden)
    c_in = 4 * hidden
    for width, repeats in zip(widths, (4, 3, 3, 1), strict=True):
        for _ in range(repeats):
            total += inverted(c_in, 6, width)
            c_in = width
    return total + c_in * last + bn(last) + last * classes + classes


def test_mobilenet_v2_rnnpool_by_its_formula() -> None:
    assert parameters("mobilenet_v2-rnnpool") == mobilenet_v2_rnnpool(32, 16, (64, 96, 160, 320), 1280, 10)
    assert parameters("mobilenet_v2-rnnpool-h32") == mobilenet_v2_rnnpool(32, 32, (64, 96, 160, 320), 1280, 10)
    assert parameters("mobilenet_v2_035-rnnpool") == mobilenet_v2_rnnpool(8, 8, (24, 32, 56, 112), 320, 2)


def test_the_last_rnnpool_adds_its_formula() -> None:
    """h1 = h2 = l / 4 over l channels (rnnpool.md section 5)."""
    for name, width in (("mobilenet_v2", 1280), ("densenet121", 1024), ("resnet18", 512)):
        added = fastgrnn(width, width // 4) + fastgrnn(width // 4, width // 4)
        assert parameters(f"{name}-last") - parameters(name) == added


def behind(channels: int) -> int:
    """Parameters of MobileNetV2's 1x1 to ``channels`` and of the first block behind it, which expands them sixfold."""
    expanded = 6 * channels
    block = channels * expanded + bn(expanded) + 9 * expanded + bn(expanded) + expanded * 64 + bn(64)
    return 32 * channels + bn(channels) + block


def test_the_strided_rival_by_its_formula() -> None:
    """Table 1: a convolution 32 -> 64, 6 x 6, stride 4, where RNNPool(6, 16) was."""
    rnnpool = fastgrnn(32, 16) + fastgrnn(16, 16)
    strided = 32 * 64 * 36 + bn(64)
    assert parameters("mobilenet_v2-strided") - parameters("mobilenet_v2-rnnpool") == strided - rnnpool
    pooled = 32 * 64 + bn(64)
    for kind in ("avg", "max"):
        assert parameters(f"mobilenet_v2-{kind}") - parameters("mobilenet_v2-rnnpool") == pooled - rnnpool
    assert parameters("mobilenet_v2-max", channels=128) - parameters("mobilenet_v2-max") == behind(128) - behind(64)
    # two bidirectional GRUs of 32 a direction, over 4 * 4 * 32 inputs, then over 64 (torch's GRU has two biases)
    renet = 2 * 3 * (32 * 512 + 32 * 32 + 2 * 32) + 2 * 3 * (32 * 64 + 32 * 32 + 2 * 32)
    assert parameters("mobilenet_v2-renet") - parameters("mobilenet_v2-rnnpool") == renet - rnnpool


def test_mlperf_tinys_person_detector() -> None:
    """The Keras network of MLPerf Tiny counts 221,794: with a bias a convolution and two statistics a batch norm."""
    network = create_model("mlperf_vww")
    channels = sum(m.num_features for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert sum(p.numel() for p in network.parameters()) + 3 * channels == 221_794


def test_half_the_dense_layers_are_42_percent() -> None:
    """Section 4 of the paper: dense layers dropped, down to 42% of the multiply-adds."""
    whole = count(on_meta("densenet121-allpool"), (3, 224, 224)).madds.paper
    half = count(on_meta("densenet121-allpool-half"), (3, 224, 224)).madds.paper
    assert round(100 * half / whole) in (41, 42)


def test_every_family_has_every_variant() -> None:
    names = list_models()
    assert all(family + ending in names for family in FAMILIES for ending in VARIANTS)
    widths = {f"mobilenet_v1_{width}-rnnpool" for width in ("025", "050", "075")}
    assert set(list_models("*-rnnpool")) >= {f"{family}-rnnpool" for family in FAMILIES} | widths
    assert len(list_models("mobilenet_v2-rnnpool-*")) == 9
