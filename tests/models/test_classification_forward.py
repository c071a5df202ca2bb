"""The classifiers run: sizes, traces, gradients, refusals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx, nn

from rnnpool.errors import InputError
from rnnpool.models import create_model, list_models, model_info
from rnnpool.models.shapes import output_shape
from rnnpool.nn import RNNPool2d
from rnnpool.nn.renet import ReNet2d

CLASSIFIERS = [name for name in list_models() if model_info(name).task == "classification"]
REPLACED = ("-rnnpool", "-avg", "-max", "-strided", "-renet")


def on_meta(name: str, **options: object) -> nn.Module:
    with torch.device("meta"):
        return create_model(name, **options)


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "efficientnet_b0", "densenet121", "googlenet"])
def test_maps_where_the_early_blocks_were(name: str) -> None:
    """At 224 every layer in their place gives 28 x 28, and so the tail's maps are those of the base."""
    base = on_meta(name)
    for ending in REPLACED:
        network = on_meta(name + ending)
        children = dict(network.features.named_children())
        place = "rnnpool" if ending == "-rnnpool" else "downsample"
        stem = nn.Sequential(*list(children.values())[: list(children).index(place) + 1])
        assert output_shape(stem, (1, 3, 224, 224))[2:] == (28, 28)
    assert output_shape(network.features, (1, 3, 224, 224)) == output_shape(base.features, (1, 3, 224, 224))


@settings(max_examples=6, deadline=None)
@given(
    name=st.sampled_from(["mobilenet_v1_025", "mobilenet_v2_035"]),
    ending=st.sampled_from(REPLACED),
    height=st.integers(3, 7).map(lambda n: 32 * n),
    width=st.integers(3, 7).map(lambda n: 32 * n),
)
def test_any_size_from_96_to_224_gives_the_bases_last_map(name: str, ending: str, height: int, width: int) -> None:
    shape = output_shape(on_meta(name + ending).features, (1, 3, height, width))
    assert shape[2:] == (height // 32, width // 32)
    assert output_shape(on_meta(name + ending), (1, 3, height, width)) == (1, 2)


@pytest.mark.parametrize("size", [96, 160, 224])
def test_the_last_rnnpool_covers_the_whole_map(size: int) -> None:
    network = on_meta("mobilenet_v2_035-rnnpool-last", input_size=size)
    assert network.pool.kernel_size == (size // 32, size // 32)
    assert output_shape(network, (1, 3, size, size)) == (1, 2)


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if not name.startswith(("mobilenet_v1_", "mlperf"))])
def test_torch_fx_traces_every_network(name: str) -> None:
    class Whole(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return isinstance(m, RNNPool2d | ReNet2d) or super().is_leaf_module(m, module_qualified_name)

    network = on_meta(name)
    traced = fx.GraphModule(network, Whole().trace(network))
    assert set(dict(traced.named_parameters())) == set(dict(network.named_parameters()))
    pools = [node for node in traced.graph.nodes if node.op == "call_module"]
    called = sum(isinstance(network.get_submodule(node.target), RNNPool2d) for node in pools)
    assert called == sum(isinstance(module, RNNPool2d) for module in network.modules())


def stripes(count: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy images of three classes: horizontal stripes, vertical stripes, checks. (count, 1, size, size), (count,)."""
    labels = torch.arange(count) % 3
    wave = (torch.arange(size) * (2 * torch.pi / 8)).sin()
    flat = torch.ones(size)
    kinds = torch.stack([torch.outer(wave, flat), torch.outer(flat, wave), torch.outer(wave, wave)])
    return kinds[labels][:, None] + 0.3 * torch.randn(count, 1, size, size), labels


@pytest.mark.parametrize("ending", ["-rnnpool", "-rnnpool-last", "-strided", "-renet"])
def test_training_lowers_the_loss(ending: str) -> None:
    torch.manual_seed(0)
    options = {"init": "orthogonal"} if "rnnpool" in ending else {}
    network = create_model(f"mobilenet_v1_025{ending}", num_classes=3, in_channels=1, input_size=64, **options)
    images, labels = stripes(12, 64)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    losses = []
    for _ in range(13):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("options", [{"cell": "gru"}, {"cell": "lstm"}, {"gates": "piecewise"}, {"norm": True}])
def test_options_of_the_rnnpool_reach_it(options: dict[str, object]) -> None:
    network = create_model("mobilenet_v1_025-rnnpool", **options)
    pool = network.features.rnnpool
    assert all(getattr(pool, key) == value for key, value in options.items() if key != "norm")
    assert hasattr(network.features, "rnnpool_norm") == options.get("norm", False)
    assert network(torch.zeros(2, 3, 96, 96)).shape == (2, 2)


def test_the_ablations_are_what_their_names_say() -> None:
    pool = {name: on_meta(f"mobilenet_v2-rnnpool-{name}").features.rnnpool for name in ("patch4", "h8", "stride8")}
    assert pool["patch4"].kernel_size == (4, 4)
    assert pool["h8"].out_channels == 32
    assert (pool["stride8"].kernel_size, pool["stride8"].stride) == ((12, 12), (8, 8))
    for name in list_models("mobilenet_v2-rnnpool-*"):
        assert output_shape(on_meta(name).features, (1, 3, 224, 224)) == (1, 1280, 7, 7), name
    twice = on_meta("mobilenet_v2-rnnpool-twice").features
    assert output_shape(nn.Sequential(twice[0], twice.rnnpool), (1, 3, 224, 224)) == (1, 64, 56, 56)
    assert output_shape(nn.Sequential(twice[0], twice.rnnpool, twice.rnnpool2), (1, 3, 224, 224)) == (1, 64, 28, 28)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes is 0"),
        ({"in_channels": -1}, "in_channels is -1"),
        ({"input_size": (96, 0)}, "input_size is 0"),
        ({"stride": 3}, "mobilenet_v1_025 takes 4$"),
        ({"repeats": 3}, "repeats is 3"),
        ({"repeats": 2, "kernel": 5}, "two RNNPools in a row"),
        ({"cell": "rnn"}, "cell is 'rnn'"),
        ({"witdh": 1}, "no option 'witdh'"),
    ],
)
def test_what_cannot_be_built_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_model("mobilenet_v1_025-rnnpool", **options)


def test_a_stride_that_the_tail_cannot_make_up_for_is_named() -> None:
    with pytest.raises(InputError, match="stride is 2; mobilenet_v2 takes 4 or 8"):
        on_meta("mobilenet_v2-rnnpool", stride=2)


def test_channels_are_those_of_a_rival() -> None:
    rival = on_meta("mobilenet_v2-max", channels=24).features.downsample
    assert output_shape(rival, (1, 32, 112, 112)) == (1, 24, 28, 28)
    with pytest.raises(InputError, match="channels is 0; it must be a positive integer"):
        on_meta("mobilenet_v2-max", channels=0)
    with pytest.raises(InputError, match="channels is 64; mobilenet_v2 has nothing in place of its early blocks"):
        on_meta("mobilenet_v2", channels=64)


def test_inputs_of_another_shape_are_named() -> None:
    network = create_model("mobilenet_v1_025")
    with pytest.raises(InputError, match=r"\(2, 1, 96, 96\); expected \(B, 3, H, W\)"):
        network(torch.zeros(2, 1, 96, 96))
    last = create_model("mobilenet_v1_025-last")
    with pytest.raises(InputError, match=r"input_size=\(128, 128\)"):
        last(torch.zeros(2, 3, 128, 128))
