"""Fusing changes nothing but the number of layers; what has no integers is named."""

import pytest
import torch
from small_nets import NETS, build
from torch import Tensor, nn

from rnnpool.errors import InputError
from rnnpool.graph import lower
from rnnpool.integer.fuse import fuse
from rnnpool.integer.layers import Convolution, Normalisation, RNNPooling
from rnnpool.integer.real_network import RealNetwork
from rnnpool.models import create_model, model_info
from rnnpool.nn import RNNPool2d


def fused(module: nn.Module, shape: tuple[int, int, int]) -> RealNetwork:
    return fuse(lower(module.eval(), shape))


@pytest.mark.parametrize("name", NETS)
def test_layers_compute_what_the_module_does(name: str) -> None:
    module, shape = build(name)
    module.double()
    network = fused(module, shape)
    x = torch.rand(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        wanted = module(x)
    found = network.run(x)
    for a, b in zip(wanted if isinstance(wanted, list) else [wanted], found, strict=True):
        assert a.shape == b.shape
        torch.testing.assert_close(b, a, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("inputs", "outputs", "groups", "kept"),
    [(6, 8, 2, 2), (6, 12, 3, 3), (4, 8, 4, 4), (4, 4, 4, 1), (6, 9, 3, 1), (8, 12, 4, 2), (4, 2, 2, 1)],
    ids=["two", "three", "two outputs a channel", "depthwise", "odd", "odd by twos", "one output a group"],
)
def test_groups_stay_groups_where_kernels_have_them(inputs: int, outputs: int, groups: int, kept: int) -> None:
    torch.manual_seed(0)
    module = nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups).double()
    network = fused(module, (inputs, 5, 4))
    layer = next(layer for layer in network.layers if isinstance(layer, Convolution))
    assert (layer.groups, layer.depthwise) == (kept, inputs == outputs == groups)
    x = torch.rand(2, inputs, 5, 4, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network.run(x)[0], module(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "pool", [nn.AvgPool2d(2), nn.AvgPool2d((3, 2), (2, 1)), nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(3, 2, ceil_mode=True)]
)
def test_averages_over_windows_are_convolutions(pool: nn.Module) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), pool, nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)).double().eval()
    x = torch.rand(2, 2, 9, 11, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(fused(module, (2, 9, 11)).run(x)[0], module(x), rtol=1e-9, atol=1e-9)


def test_layers_take_other_sizes_than_the_graph_was_made_for() -> None:
    module, shape = build("pyramid")
    x = torch.rand(1, 1, shape[1] + 9, shape[2] - 7)
    with torch.no_grad():
        wanted = module(x)
    for a, b in zip(wanted, fused(module, shape).run(x), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5)


def test_what_becomes_part_of_what() -> None:
    kinds = [layer.kind for layer in fused(*build("pyramid")).layers]
    # stem, RNNPool with its norm, two blocks of three convolutions and a residual, the enlarged sum, two predictors
    assert kinds == ["image", "conv", "rnnpool", *["conv"] * 3, "add", *["conv"] * 3, "add", "conv", "conv"]
    anchors = fused(*build("anchors"))
    assert [layer.kind for layer in anchors.layers] == [
        "image", "rnnpool", "pad", "conv", "conv", "conv", "add", "l2_norm", "conv",
    ]  # fmt: skip
    # The scales of 5 to 12 behind the L2 norm are in the predictor's weights.
    module, _ = build("anchors")
    out = next(layer for layer in anchors.layers if layer.name == "out")
    assert isinstance(out, Convolution)
    expected = module.out.weight[:3] * module.norm.weight[None, :8, None, None]
    torch.testing.assert_close(out.weight[:3, :8], expected)
    assert not out.weight[:3, 8:].any()
    assert isinstance(anchors.layers[-2], Normalisation)


def test_a_map_that_others_read_as_well_is_not_clipped() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 3, 3)
            self.last = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = self.conv(x).mean((2, 3))
            return torch.relu(y), self.last(y)

    torch.manual_seed(0)
    module = Net().double()
    x = torch.rand(3, 1, 6, 6, dtype=torch.float64) - 0.5
    wanted = module(x)
    assert (wanted[0] == 0).any(), "the ReLU must matter"
    for a, b in zip(wanted, fused(module, (1, 6, 6)).run(x), strict=True):
        torch.testing.assert_close(b, a.detach(), rtol=1e-9, atol=1e-9)


def test_the_offset_of_a_norm_behind_rnnpool_joins_it() -> None:
    module, shape = build("pyramid")
    pool = next(layer for layer in fused(module, shape).layers if isinstance(layer, RNNPooling))
    norm = module.norm
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    torch.testing.assert_close(pool.factor, scale.detach())
    torch.testing.assert_close(pool.offset, (norm.bias - norm.running_mean * scale).detach())


@pytest.mark.parametrize("name", ["face-tiny", "face-m4", "face-quant", "mlperf_vww", "mobilenet_v2_035-rnnpool"])
def test_networks_of_the_registry_have_integers(name: str) -> None:
    size = model_info(name).input_size
    assert size is not None
    network = fused(create_model(name), size)
    assert all(layer.shape for layer in network.layers)


class _Enlarged(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(x, scale_factor=2.0)


class _Cut(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[..., 1:, :] + x[..., :-1, :]


@pytest.mark.parametrize(
    ("layer", "what"),
    [
        (nn.SiLU(), r"operator activation \(function=silu.*module 'body'.*relu, relu6, clip"),
        (nn.MaxPool2d(2), r"operator pool \(function=max.*module 'body'"),
        (nn.AvgPool2d(3, 2, 1, count_include_pad=False), r"operator pool .*module 'body'.*padding counts"),
        (nn.AvgPool2d(3, 2, ceil_mode=True), r"operator pool .*module 'body'.*no ceil_mode"),
        (nn.Conv2d(2, 2, 3, dilation=2), r"operator conv .*module 'body'.*dilation"),
        (nn.Softmax(dim=1), r"operator softmax"),
        (nn.AdaptiveMaxPool2d(1), r"operator global_pool .*only the average"),
        (RNNPool2d(2, 2, 2, 2, cell="gru"), r"operator rnnpool .*module 'body'.*fastgrnn"),
        (RNNPool2d(2, 2, 2, (3, 3), (4, 3)), r"operator rnnpool .*module 'body'.*stride may be at most its kernel"),
        (RNNPool2d(2, 2, 2, (3, 1), (3, 2)), r"operator rnnpool .*module 'body'.*stride may be at most its kernel"),
        (nn.Hardtanh(0.5, 1.0), r"operator activation .*must let 0 pass"),
        (_Enlarged(), r"operator nearest .*before a sum"),
        (_Cut(), r"operator slice .*before a sum"),
    ],
)
def test_operators_without_integers_are_named(layer: nn.Module, what: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(2, 2, 1)
            self.body = layer

        def forward(self, x: Tensor) -> Tensor:
            return self.body(self.first(x)) * 1.5

    with pytest.raises(InputError, match=what):
        fused(Net(), (2, 8, 8))
