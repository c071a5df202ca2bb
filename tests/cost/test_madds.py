"""Closed formulas of multiply-adds against counters of torch, and against loops that count each product."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import rnnpool.nn.cells as cells
import rnnpool.nn.rnnpool2d as layer
from rnnpool.cost import count
from rnnpool.errors import InputError
from rnnpool.graph import lower
from rnnpool.models import create_model
from rnnpool.nn import RNNPool2d
from rnnpool.nn.renet import ReNet2d
from rnnpool.nn.sweep import _sweep_steps

M = 1e6


def flops(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Products that torch counts while the module runs."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.randn(1, *shape))
    assert counter.get_total_flops() % 2 == 0
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(
    "name", ["mobilenet_v2_035", "resnet18-strided", "efficientnet_b0-avg", "googlenet", "mlperf_vww"]
)
def test_networks_without_recurrence_against_the_flop_counter(name: str) -> None:
    model = create_model(name)
    graph = lower(model, (3, 64, 64))
    assert graph.madds.shared == graph.madds.paper == graph.madds.alone == flops(model, (3, 64, 64))


@pytest.mark.parametrize("cell", ["fastgrnn", "gru", "lstm"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [
        ((6, 6), (4, 4), (0, 0), (23, 31)),
        ((3, 5), (2, 3), (1, 2), (11, 9)),
        ((4, 4), (4, 4), (0, 0), (8, 9)),
        ((1, 2), (1, 1), (0, 0), (3, 4)),
    ],
)
def test_shared_count_is_what_the_layer_does(
    monkeypatch: pytest.MonkeyPatch, cell: str, kernel: tuple, stride: tuple, padding: tuple, size: tuple
) -> None:
    """Sweeps and projections in plain torch operators, which the counter sees: the products of the native ones."""

    def sweep(p: Tensor, rnn: cells.Cell, size: int, step: int, bidirectional: bool = False) -> Tensor:
        orders = (range(size), range(size - 1, -1, -1))[: 1 + bidirectional]
        return torch.cat([_sweep_steps(p, rnn, size, step, order) for order in orders], 1)

    def project(x: Tensor, weight: Tensor, height: int, width: int) -> Tensor:
        return F.conv2d(x[:, :, :height, :width], weight[:, :, None, None])

    monkeypatch.setattr(layer, "sweep", sweep)
    monkeypatch.setattr(cells, "project", project)
    pool = RNNPool2d(3, 5, 7, kernel, stride, padding, cell=cell)
    assert lower(pool, (3, *size)).madds.shared == flops(pool, (3, *size))


def by_loops(k: int, h1: int, h2: int, rows: int, columns: int) -> int:
    """Products of one patch, one by one: both RNNs with every W x and every U h, the first step's with zeros too."""
    products = 0
    for lines, length in ((rows, columns), (columns, rows)):
        for _ in range(lines):
            for _ in range(length):
                products += h1 * k + h1 * h1
        for _ in ("forward", "backward"):
            for _ in range(lines):
                products += h2 * h1 + h2 * h2
    return products


@pytest.mark.parametrize(("kernel", "h1", "h2", "k"), [((6, 6), 16, 16, 32), ((3, 5), 2, 7, 4)])
def test_alone_and_paper_counts(kernel: tuple[int, int], h1: int, h2: int, k: int) -> None:
    plain = lower(RNNPool2d(k, h1, h2, kernel, 2), (k, 20, 22))
    padded = lower(RNNPool2d(k, h1, h2, kernel, 2, output_padding="replicate"), (k, 20, 22))
    patch = by_loops(k, h1, h2, *kernel)
    rows, columns = (20 - kernel[0]) // 2 + 1, (22 - kernel[1]) // 2 + 1
    assert plain.madds.alone == padded.madds.alone == rows * columns * patch
    assert plain.madds.paper == rows * columns * patch // 2
    assert padded.madds.paper == (rows + 1) * (columns + 1) * patch // 2
    assert padded.outputs[0].shape == (4 * h2, rows + 1, columns + 1)


@pytest.mark.parametrize(
    ("site", "patch", "h", "alone", "paper", "shared"),
    [
        ((32, 112, 112), 6, 16, 49.3, 26.5, 19.1),
        ((4, 120, 160), 8, 16, 64.9, 34.4, 28.4),
        ((64, 112, 112), 8, 48, 609, 328, 197),
    ],
)
def test_the_sites_of_the_specification(
    site: tuple, patch: int, h: int, alone: float, paper: float, shared: float
) -> None:
    """rnnpool.md, section 2, to the digits that it prints."""
    madds = lower(RNNPool2d(site[0], h, h, patch, 4, output_padding="replicate"), site).madds
    digits = 1 if alone < 100 else 0
    assert [round(each / M, digits) for each in (madds.alone, madds.paper, madds.shared)] == [alone, paper, shared]


def test_renet_counts_its_gates() -> None:
    """The counter sees no product inside nn.GRU on the CPU; the cells of torch are counted instead."""
    renet, shape = ReNet2d(3, 6, (2, 4)), (3, 9, 13)
    products = 0
    for gru, inputs in ((renet.vertical, 24), (renet.horizontal, 6)):
        for cell_input, cell_hidden in (
            (gru.weight_ih_l0, gru.weight_hh_l0),
            (gru.weight_ih_l0_reverse, gru.weight_hh_l0_reverse),
        ):
            assert cell_input.shape == (9, inputs)
            products += 4 * 3 * (cell_input.numel() + cell_hidden.numel())  # a grid of 4 x 3 patches
    assert lower(renet, shape).madds.shared == products


def test_exact_totals_of_the_paper() -> None:
    """rnnpool.md, section 5: MobileNetV1-RNNPool 4.118M and 417.0M, DenseNet121-RNNPool 5.604M."""
    v1 = count(create_model("mobilenet_v1-rnnpool"), (3, 224, 224))
    assert round(v1.parameters / M, 3) == 4.118
    assert round(v1.madds.paper / M, 1) == 417.0
    assert round(count(create_model("densenet121-rnnpool"), (3, 224, 224)).parameters / M, 3) == 5.604


def test_count_of_a_detector() -> None:
    cost = count(create_model("face-tiny"), (1, 240, 320))
    assert cost.madds.shared < 100 * M
    assert cost.parameters < 160 * 1024
    assert cost.largest.shape == (8, 120, 160)


def test_a_module_needs_a_shape() -> None:
    with pytest.raises(InputError, match="input_shape"):
        count(nn.ReLU())
