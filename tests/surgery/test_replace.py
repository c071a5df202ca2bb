"""Surgery on networks of several kinds: same sizes, same other weights, the original as it was, clear refusals."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_networks import Deciding, Functional, Named, Tapped
from torch import fx, nn

import rnnpool
from rnnpool.errors import InputError
from rnnpool.models import create_model
from rnnpool.nn import RNNPool2d
from rnnpool.surgery import replace

IMAGE = (3, 48, 40)


def kept_weights(before: nn.Module, after: nn.Module) -> int:
    """How many tensors of ``after`` are ``before``'s by name; their values must be equal."""
    old, new = before.state_dict(), after.state_dict()
    shared = [key for key in new if key in old and "rnn" not in key and new[key].shape == old[key].shape]
    for key in shared:
        assert torch.equal(new[key], old[key]), key
        assert new[key].numel() == 0 or new[key].data_ptr() != old[key].data_ptr(), f"{key} is shared with the original"
    return len(shared)


@st.composite
def sequences(draw) -> tuple[nn.Sequential, int, int]:
    """A random chain of layers with a run in it."""
    layers: list[nn.Module] = []
    width = 3
    for _ in range(draw(st.integers(2, 6))):
        kind = draw(st.sampled_from(["conv", "conv2", "pool", "avg", "norm", "relu"]))
        if kind.startswith("conv"):
            out = draw(st.integers(1, 9))
            kernel = draw(st.sampled_from([1, 3]))
            layers.append(nn.Conv2d(width, out, kernel, 2 if kind == "conv2" else 1, kernel // 2))
            width = out
        else:
            layers.append({"pool": nn.MaxPool2d(2), "avg": nn.AvgPool2d(3, 2, 1), "norm": nn.BatchNorm2d(width)}.get(
                kind, nn.ReLU()
            ))  # fmt: skip
    start = draw(st.integers(0, len(layers) - 1))
    return nn.Sequential(*layers).eval(), start, draw(st.integers(start, len(layers) - 1))


@settings(max_examples=25, deadline=None)
@given(drawn=sequences(), hidden=st.one_of(st.none(), st.integers(1, 4)))
def test_any_run_of_a_sequence_that_shrinks_its_map(drawn: tuple[nn.Sequential, int, int], hidden: int | None) -> None:
    network, start, stop = drawn
    before = copy.deepcopy(network.state_dict())
    x = torch.randn(2, 3, 96, 64)  # six halvings leave a pixel
    head = network[:start](x)
    wanted = network[start : stop + 1](head)
    run = {"start": str(start), "stop": str(stop), "input_size": (3, 96, 64), "hidden": hidden}
    if wanted.shape[2:] == head.shape[2:]:
        with pytest.raises(InputError, match="nothing is pooled"):
            replace(network, **run)
        return
    after = replace(network, **run)
    assert after(x).shape == network(x).shape
    names = list(after._modules)
    assert names == [name for i, name in enumerate(network._modules) if not start < i <= stop]
    torch.testing.assert_close(after[:start](x), head)
    assert after[start](head).shape == wanted.shape
    tail = torch.randn_like(wanted)
    torch.testing.assert_close(after[start + 1 :](tail), network[stop + 1 :](tail))
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


def test_named_attributes_become_one_layer_and_identities() -> None:
    network = Named().eval()
    small = replace(network, "pool", "block1", input_size=IMAGE)
    assert isinstance(small, Named)
    assert isinstance(small.pool, RNNPool2d)
    assert (small.pool.stride, small.pool.out_channels) == ((4, 4), 12)
    assert isinstance(small.block1, nn.Identity)
    assert isinstance(network.pool, nn.MaxPool2d)
    assert not small.training
    assert not small.pool.training
    x = torch.randn(2, *IMAGE)
    torch.testing.assert_close(small.pool(x[:, :1].repeat(1, 8, 1, 1)).shape[1:], (12, 12, 10))
    expected = network.fc(
        network.gap(network.relu(network.block2(small.pool(network.relu(network.bn1(network.conv1(x))))))).flatten(1)
    )
    torch.testing.assert_close(small(x), expected)
    assert kept_weights(network, small) == len(network.state_dict()) - len(network.block1.state_dict())


def test_a_run_across_two_sequences() -> None:
    network = Named()
    small = replace(network, "block1.1", "block2.0", input_size=IMAGE, hidden=2)
    assert list(small.block1._modules) == ["0", "1"]
    assert list(small.block2._modules) == ["1"]
    assert [type(part) for part in small.block1[1]] == [RNNPool2d, nn.Conv2d]
    assert small(torch.randn(2, *IMAGE)).shape == (2, 5)


@pytest.mark.parametrize(("path", "stride"), [("pool", (2, 2)), ("gap", (6, 5))])
def test_a_pooling_alone(path: str, stride: tuple[int, int]) -> None:
    small = replace(Named(), path, input_size=IMAGE)
    pool = small.get_submodule(path)
    assert isinstance(pool, RNNPool2d)
    assert pool.stride == stride
    assert small(torch.randn(1, *IMAGE)).shape == (1, 5)


def test_functions_between_the_modules_are_cut_out_too() -> None:
    network = Functional()
    small = replace(network, "b", "c", input_size=IMAGE, hidden=6)
    assert isinstance(small, fx.GraphModule)
    x = torch.randn(2, *IMAGE)
    pooled = small.b(torch.relu(network.a(x)))
    torch.testing.assert_close(small(x), network.fc(torch.relu(pooled).mean((2, 3))))
    names = {name.split(".")[0] for name, _ in small.named_parameters()}
    assert names == {"a", "b", "fc"}
    assert kept_weights(network, small) == 4


def test_a_rivals_layer_in_the_same_place() -> None:
    made = []

    def rival(in_shape, out_shape) -> nn.Module:
        made.append((in_shape, out_shape))
        return nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(in_shape[0], out_shape[0], 1))

    small = replace(Named(), "pool", "block1", rival, input_size=IMAGE)
    assert made == [((8, 24, 20), (12, 6, 5))]
    assert isinstance(small.pool[0], nn.AvgPool2d)
    with pytest.raises(InputError, match=r"\(8, 24, 20\) to \(8, 6, 5\); pool .. block1 maps it to \(12, 6, 5\)"):
        replace(Named(), "pool", "block1", nn.MaxPool2d(4), input_size=IMAGE)


def test_types_of_the_network_are_kept() -> None:
    small = replace(Named().double(), "pool", "block1", input_size=IMAGE)
    assert {p.dtype for p in small.parameters()} == {torch.float64}
    assert small(torch.randn(1, *IMAGE, dtype=torch.float64)).dtype == torch.float64


def test_sequences_whose_parts_are_called_one_by_one_keep_their_places() -> None:
    """Deleting an entry would shift the slices that the forward takes."""
    small = replace(Tapped(), "features.3", "features.4", input_size=IMAGE)
    assert isinstance(small.features[4], nn.Identity)
    assert {key: y.shape for key, y in small(torch.zeros(1, *IMAGE)).items()} == {
        "middle": (1, 4, 24, 20),
        "last": (1, 4, 12, 10),
    }


def test_a_forward_that_cannot_be_traced_can_still_lose_part_of_a_sequence() -> None:
    small = replace(Deciding(), "features.0", "features.3", input_size=IMAGE)
    assert isinstance(small.features[0], RNNPool2d)
    assert len(small.features) == 1
    with pytest.raises(InputError, match="cannot follow the forward of Deciding"):
        replace(Deciding(), "features.2", "last", input_size=IMAGE)


def test_the_published_network_by_surgery() -> None:
    """ResNet18-RNNPool of the registry is the base after the same operation: equal counts, equal outputs."""
    base = create_model("resnet18", num_classes=4)
    cut = rnnpool.replace(base, "features.maxpool", "features.layer2", input_size=(3, 64, 64), kernel=8).eval()
    built = create_model("resnet18-rnnpool", num_classes=4).eval()
    assert not hasattr(cut, "registry_name")
    assert base.registry_name == "resnet18"
    state = {key.replace("features.rnnpool", "features.maxpool"): value for key, value in built.state_dict().items()}
    cut.load_state_dict(state)
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(cut(x), built(x))


@pytest.mark.parametrize(
    ("start", "stop", "message"),
    [
        ("pol", None, "start is 'pol', which Named does not have; it has pool"),
        ("pool", "block3", "stop is 'block3', .* it has block2"),
        ("", None, "start is ''"),
        ("block2", "pool", "'pool' does not come after start 'block2'"),
        ("block1.1", "block1.0", "stop 'block1.0' comes before start 'block1.1'"),
        ("block1.0.first", "block1.1", r"reads its input twice \(at block1.0.first and add\)"),
        ("block1.0.second", "block1.1", "also reads pool from outside"),
        ("relu", "block1", "start 'relu' is called 2 times"),
        ("block1.0", None, "nothing is pooled"),
        ("gap", "fc", "RNNPool takes and gives one map"),
    ],
)
def test_what_cannot_be_replaced_is_named(start: str, stop: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(Named(), start, stop, input_size=IMAGE)


def test_a_run_that_others_read_from_is_named() -> None:
    with pytest.raises(InputError, match=r"the output of features.2, inside the run features.1 .. features.3, is also"):
        replace(Tapped(), "features.1", "features.3", input_size=IMAGE)


def test_training_flags_that_a_trace_would_freeze_are_named() -> None:
    with pytest.raises(InputError, match="dropout with training=self.training"):
        replace(Functional(dropout=True), "b", "c", input_size=IMAGE)


def test_sizes_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match="does not run on a 4x48x40 input"):
        replace(Named(), "pool", input_size=(4, 48, 40))
    with pytest.raises(InputError, match=r"input_size is \(48, 40\)"):
        replace(Named(), "pool", input_size=(48, 40))
    with pytest.raises(InputError, match=r"input_size is 48; it must be \(channels, height, width\)"):
        replace(Named(), "pool", input_size=48)
    with pytest.raises(InputError, match="every 8 of 24 pixels"):
        replace(Named(), "pool", "block1", input_size=IMAGE, stride=8)
