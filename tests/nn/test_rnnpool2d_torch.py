"""RNNPool2d as a citizen of torch: autocast, memory formats, compile, export, copies, empty batches, NaN."""

import copy
import io
import pickle

import pytest
import torch
from torch import Tensor
from torch.export import Dim

from rnnpool.nn import RNNPool2d

CELLS = [{}, {"trainable_mix": True, "gates": "piecewise"}, {"cell": "gru"}, {"cell": "lstm"}]


def layer_of(options: dict | None = None) -> RNNPool2d:
    torch.manual_seed(0)
    return RNNPool2d(3, 8, 5, 4, 2, 1, output_padding="replicate", **(options or {}))


def image(batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, 12, 9, generator=torch.Generator().manual_seed(1))


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("options", CELLS, ids=str)
def test_autocast(options: dict) -> None:
    """Projections in bfloat16 (8 bits) at worst, states in float32: near the float32 result, float32 out."""
    layer, x = layer_of(options), image()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x.requires_grad_())
        half = layer(x.bfloat16())
    assert y.dtype == half.dtype == torch.float32
    torch.testing.assert_close(y, layer(x), rtol=0, atol=2e-2)
    torch.testing.assert_close(half, layer(x), rtol=0, atol=2e-2)
    (expected,) = torch.autograd.grad(layer(x).square().sum(), x)
    y.square().sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
    if options.get("gates") != "piecewise":  # rounding carries some over a kink, where the slope jumps
        torch.testing.assert_close(x.grad, expected, rtol=0, atol=3e-2 * expected.abs().max().item())


@pytest.mark.usefixtures("path")
def test_backward_inside_autocast_is_the_same() -> None:
    """A caller who runs backward under autocast as well gets the same gradient of the states."""
    layer, x = layer_of(), image()
    gradients = []
    for inside in (False, True):
        with torch.autocast("cpu", torch.bfloat16):
            loss = layer(x).square().sum()
        with torch.autocast("cpu", torch.bfloat16, enabled=inside):
            gradients.append(torch.autograd.grad(loss, layer.rnn2.weight_hidden)[0])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", CELLS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_throughout(options: dict, dtype: torch.dtype) -> None:
    """A layer converted as a whole runs in torch operators of that precision."""
    layer, x = layer_of(options), image()
    y = copy.deepcopy(layer).to(dtype)(x.to(dtype))
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), layer(x), rtol=0, atol=5e-2)


@pytest.mark.parametrize("options", CELLS, ids=str)
def test_bfloat16_weights_under_autocast(options: dict) -> None:
    """States are float32 there too."""
    layer, x = layer_of(options), image()
    half = copy.deepcopy(layer).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = half(x.bfloat16())
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, layer(x), rtol=0, atol=2e-2)


@pytest.mark.usefixtures("path")
def test_channels_last() -> None:
    layer, x = layer_of(), image()
    expected = layer(x)
    torch.testing.assert_close(layer(x.contiguous(memory_format=torch.channels_last)), expected, rtol=0, atol=1e-6)
    # `.to(memory_format=...)` on the layer is what users of convolutions do; it must at least do no harm.
    layer = layer.to(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("output_padding", ["none", "replicate"])
def test_memory_format_is_kept(output_padding: str) -> None:
    """As by nn.MaxPool2d; a map of one channel is laid out both ways and tells nothing."""
    layer, x = RNNPool2d(3, 4, 2, 3, 2, output_padding=output_padding), image()
    for memory_format in (torch.contiguous_format, torch.channels_last):
        assert layer(x.contiguous(memory_format=memory_format)).is_contiguous(memory_format=memory_format)
    one = torch.randn(2, 1, 12, 9).contiguous(memory_format=torch.channels_last)
    assert RNNPool2d(1, 4, 2, 3, 2, output_padding=output_padding)(one).is_contiguous()


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("options", CELLS, ids=str)
def test_empty_batch(options: dict) -> None:
    layer, x = layer_of(options), image(0).requires_grad_()
    y = layer(x)
    assert y.shape == (0, 20, 7, 5)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape
    assert all(torch.equal(p.grad, torch.zeros_like(p)) for p in layer.parameters())


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("options", CELLS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_comes_through(options: dict, dtype: torch.dtype) -> None:
    """One NaN pixel makes every output of the patches that hold it NaN, and no other; whatever its payload."""
    torch.manual_seed(0)
    layer = RNNPool2d(3, 8, 5, 3, 3, **options).to(dtype)
    x = torch.randn(2, 3, 9, 6, dtype=dtype)
    bits = {torch.float32: (torch.int32, 0x7FC00001), torch.float64: (torch.int64, 0x7FF8000000000001)}[dtype]
    x[1, 2, 4, 1] = torch.tensor(bits[1], dtype=bits[0]).view(dtype)
    y = layer(x)
    hit = torch.zeros_like(y, dtype=torch.bool)
    hit[1, :, 1, 0] = True
    assert torch.equal(y.isnan(), hit)
    (dx,) = torch.autograd.grad(layer(x.requires_grad_())[hit].sum(), x)
    assert dx[1, :, 3:6, :3].isnan().any()


@pytest.mark.usefixtures("path")
def test_infinite_pixels_saturate() -> None:
    layer = layer_of()
    with torch.no_grad():
        layer.rnn1.weight_input.abs_()  # no infinity minus infinity in W x
    for value in (float("inf"), -float("inf")):
        y = layer(torch.full((1, 3, 8, 8), value))
        assert y.isfinite().all()


@pytest.mark.parametrize("options", CELLS, ids=str)
def test_copies(options: dict) -> None:
    """state_dict, deepcopy, pickle and torch.save give the same layer; a copy shares no memory."""
    layer, x = layer_of(options), image()
    expected = layer(x)
    fresh = layer_of(options)
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.zero_()
    fresh.load_state_dict(layer.state_dict())
    buffer = io.BytesIO()
    torch.save(layer, buffer)
    buffer.seek(0)
    copies = [fresh, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(buffer, weights_only=False)]
    for other in copies:
        assert torch.equal(other(x), expected)
        assert repr(other) == repr(layer)
        with torch.no_grad():
            other.rnn1.weight_input.add_(1)
    assert torch.equal(layer(x), expected)


@pytest.mark.parametrize("options", CELLS, ids=str)
def test_state_dict_names(options: dict) -> None:
    """The names are a file format: weights are shipped under them."""
    names = {"weight_input", "weight_hidden"}
    names |= {"bias_input", "bias_hidden"} if "cell" in options else {"bias_gate", "bias_candidate"}
    names |= {"raw_zeta", "raw_nu"} if options.get("trainable_mix") else set()
    assert set(layer_of(options).state_dict()) == {f"rnn{i}.{name}" for i in (1, 2) for name in names}


@pytest.mark.parametrize("options", [{}, {"cell": "lstm"}], ids=str)
def test_compile(options: dict) -> None:
    """One graph, without breaks, in both directions; "aot_eager" is everything of a compiler but its code generator."""
    torch.manual_seed(0)
    layer = RNNPool2d(2, 3, 2, (2, 1), 2, **options)
    x = torch.randn(1, 2, 4, 5, requires_grad=True)
    results = []
    for function in (layer, torch.compile(layer, fullgraph=True, backend="aot_eager")):
        y = function(x)
        results.append([y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_compile_to_code() -> None:
    """The default compiler, in both directions, from one size to others: where a part of a patch is left over too."""
    torch.manual_seed(0)
    layer = RNNPool2d(2, 4, 3, 4, 2)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    for size in ((8, 10), (9, 6), (7, 11)):
        x = torch.randn(2, 2, *size, requires_grad=True)
        results = []
        for function in (layer, compiled):
            y = function(x)
            results.append([y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])])
        for ours, theirs in zip(*results, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"cell": "gru"}], ids=str)
def test_export_with_any_size(options: dict) -> None:
    layer = layer_of(options).eval()
    sizes = {0: Dim("batch"), 2: Dim("height", min=8), 3: Dim("width", min=8)}
    program = torch.export.export(layer, (image(2),), dynamic_shapes=(sizes,))
    for x in (image(1), image(5), torch.randn(2, 3, 8, 31), torch.randn(1, 3, 27, 9)):
        torch.testing.assert_close(program.module()(x), layer(x), rtol=0, atol=1e-6)


def test_export_of_single_images_of_any_size() -> None:
    """A batch of 1 that is exported stays 1."""
    layer = layer_of().eval()
    sizes = {2: Dim("height", min=8), 3: Dim("width", min=8)}
    program = torch.export.export(layer, (image(1),), dynamic_shapes=(sizes,))
    x = torch.randn(1, 3, 21, 34)
    torch.testing.assert_close(program.module()(x), layer(x), rtol=0, atol=1e-6)


def test_an_image_without_a_batch() -> None:
    layer, x = layer_of(), image(3)
    assert torch.equal(layer(x[1]), layer(x)[1])


def test_meta_device_tells_the_shape() -> None:
    with torch.device("meta"):
        layer = RNNPool2d(3, 8, 5, (6, 4), (4, 2), output_padding="replicate")
        assert layer(torch.empty(2, 3, 30, 20)).shape == (2, 20, 8, 10)


@pytest.mark.parametrize("options", CELLS, ids=str)
def test_a_layer_made_without_memory_is_filled_later(options: dict) -> None:
    """By weights of a file, or from the start, as layers of sharded networks are."""
    layer, x = layer_of(options), image()
    with torch.device("meta"):
        loaded, fresh = layer_of(options), layer_of(options)
    loaded.load_state_dict(layer.state_dict(), assign=True)
    assert torch.equal(loaded(x), layer(x))
    fresh.to_empty(device="cpu")
    torch.manual_seed(0)
    for cell in (fresh.rnn1, fresh.rnn2):
        cell.reset_parameters()
    assert torch.equal(fresh(x), layer(x))
