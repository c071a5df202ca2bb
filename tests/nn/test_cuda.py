"""RNNPool2d on a CUDA device: the same numbers as in float64 on the CPU, and everything that users of a GPU do."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rnnpool.nn import FastGRNNCell, RNNPool2d, native, sweep

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch.cuda.is_available() is False")
OPTIONS = [{}, {"trainable_mix": True}, {"gates": "piecewise"}, {"cell": "gru"}]


@pytest.fixture(autouse=True)
def exact_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """W x is a convolution, which cuDNN computes in tf32 (11 bits) unless told otherwise."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def layer_of(options: dict | None = None, hidden: tuple[int, int] = (8, 5), kernel: int = 3) -> RNNPool2d:
    """A float64 layer on the CPU whose gates matter."""
    layer = RNNPool2d(3, *hidden, kernel, 2, 1, output_padding="replicate", **(options or {})).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            scale = 0.8 * parameter.shape[-1] ** -0.5 if parameter.dim() == 2 else 0.8
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return layer


def image(batch: int = 2, height: int = 23, width: int = 30) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def results(layer: Callable[[Tensor], Tensor], x: Tensor, parameters: list[Tensor]) -> list[Tensor]:
    """The output, and gradients of x and of the parameters, of a fixed random sum of it."""
    x = x.detach().requires_grad_()
    y = layer(x)
    upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(y)
    return [y, *torch.autograd.grad(y, [x, *parameters], upstream)]


def assert_near(ours: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    """Within tolerance of the size of what is compared once that exceeds 1."""
    for one, other in zip(ours, expected, strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one.double().cpu(), other.double().cpu(), rtol=0, atol=tolerance * scale)


def on_cuda(layer: RNNPool2d) -> RNNPool2d:
    return copy.deepcopy(layer).float().cuda()


def test_status_says_triton() -> None:
    assert native.status("cuda").startswith("triton: triton ")
    with native.disabled():
        assert native.status("cuda").startswith("torch: ")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_equals_float64_on_the_cpu(options: dict, layout: torch.memory_format) -> None:
    """The kernels and the torch operators that they replace."""
    layer, x = layer_of(options), image()
    expected = results(layer, x, list(layer.parameters()))
    theirs, x = on_cuda(layer), x.float().cuda().contiguous(memory_format=layout)
    many = slice(1 if options.get("gates") == "piecewise" else None)  # rounding carries some over a kink
    assert_near(results(theirs, x, list(theirs.parameters()))[many], expected[many], 1e-5)
    with native.disabled():
        assert_near(results(theirs, x, list(theirs.parameters()))[many], expected[many], 1e-5)
    assert native.status("cuda").count("but torch") == 0


@pytest.mark.parametrize(("hidden", "kernel"), [(4, 6), (6, 8), (8, 8), (16, 6), (16, 8), (32, 6), (48, 8)])
def test_sizes_of_the_published_networks(hidden: int, kernel: int) -> None:
    """The sweep alone, of both orders of memory, with more lines than a program takes."""
    cell = layer_of({"trainable_mix": True}, (hidden, 1)).rnn1
    p = torch.randn(3, hidden, 39, 45, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theirs = copy.deepcopy(cell).float().cuda()

    def parameters(cell: FastGRNNCell) -> list[Tensor]:
        return [parameter for name, parameter in cell.named_parameters() if name != "weight_input"]

    for map_ in (p, p.transpose(2, 3)):
        expected = results(lambda x: sweep(x, cell, kernel, 4, True), map_, parameters(cell))
        ours = results(lambda x: sweep(x, theirs, kernel, 4, True), map_.float().cuda(), parameters(theirs))
        assert_near(ours, expected, 1e-5)
    assert native.status("cuda").count("but torch") == 0


def assert_the_same_bits(function: Callable[[], list[Tensor]]) -> None:
    first = function()
    for _ in range(3):
        assert all(torch.equal(one, other) for one, other in zip(first, function(), strict=True))


@pytest.mark.parametrize("hidden", [8, 16])  # a sum within a lane, a product of the tensor cores
@pytest.mark.parametrize("transposed", [False, True])
def test_a_sweep_gives_the_same_bits_on_every_run(hidden: int, transposed: bool) -> None:
    """Windows that overlap add to one place of the map's gradient; all programs add to the parameters'."""
    cell = on_cuda(layer_of({"trainable_mix": True}, (hidden, 1))).rnn1
    p = torch.randn(4, hidden, 61, 60, generator=torch.Generator().manual_seed(0)).cuda()
    p = p.transpose(2, 3) if transposed else p
    parameters = [parameter for name, parameter in cell.named_parameters() if name != "weight_input"]
    assert_the_same_bits(lambda: results(lambda x: sweep(x, cell, 3, 2, True), p, parameters))


def test_the_layer_gives_the_same_bits_on_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cuDNN's gradients of a convolution, of which W x is one, do; by default some of them use atomic sums."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    layer, x = on_cuda(layer_of(hidden=(8, 16))), image(4, 61, 60).float().cuda()
    assert_the_same_bits(lambda: results(layer, x, list(layer.parameters())))


def test_nan_comes_through() -> None:
    layer = on_cuda(RNNPool2d(3, 8, 16, 3, 3))
    x = torch.randn(2, 3, 9, 6, device="cuda")
    x[1, 2, 4, 1] = float("nan")
    hit = torch.zeros(2, 64, 3, 2, dtype=torch.bool, device="cuda")
    hit[1, :, 1, 0] = True
    assert torch.equal(layer(x).isnan(), hit)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_bfloat16_autocast(options: dict) -> None:
    """Projections in bfloat16 (8 bits), states in float32, float32 out."""
    layer, x = layer_of(options), image()
    expected = results(layer, x, list(layer.parameters()))
    theirs = on_cuda(layer)

    def autocast(x: Tensor) -> Tensor:
        with torch.autocast("cuda", torch.bfloat16):
            return theirs(x)

    ours = results(autocast, x.float().cuda(), list(theirs.parameters()))
    assert ours[0].dtype == torch.float32
    assert_near(ours[:1], expected[:1], 3e-2)
    if options.get("gates") != "piecewise":
        assert_near(ours[1:], expected[1:], 5e-2)


def test_empty_batch() -> None:
    layer, x = on_cuda(layer_of()), image(0).float().cuda()
    y, *gradients = results(layer, x, list(layer.parameters()))
    assert y.shape == (0, 20, 13, 16)
    assert all(gradient.count_nonzero() == 0 for gradient in gradients)


@pytest.mark.parametrize("options", OPTIONS[:2], ids=str)
def test_compile(options: dict) -> None:
    """One graph, forward and backward, with the kernels as operators in it."""
    layer, x = layer_of(options), image()
    expected = results(layer, x, list(layer.parameters()))
    theirs = on_cuda(layer)
    compiled = torch.compile(theirs, fullgraph=True)
    assert_near(results(compiled, x.float().cuda(), list(theirs.parameters())), expected, 1e-5)


@pytest.mark.parametrize("options", OPTIONS[:2], ids=str)
@pytest.mark.parametrize("kernels", [True, False])
def test_graph_of_the_forward_pass(options: dict, kernels: bool) -> None:
    """Captured once, replayed on other numbers; the torch operators as well."""
    layer = layer_of(options)
    theirs, x = on_cuda(layer), image().float().cuda()
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        if not kernels:
            patch.setattr("rnnpool.nn.switch._enabled", False)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            theirs(x)  # compiles
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = theirs(x)
    other = image().flip(3)
    x.copy_(other)
    graph.replay()
    assert_near([y], [layer(other).detach()], 1e-5)


@pytest.mark.parametrize("options", OPTIONS[:2], ids=str)
def test_graph_of_a_training_step(options: dict) -> None:
    layer, x = layer_of(options), image().flip(2)
    expected = results(layer, x, list(layer.parameters()))
    theirs = on_cuda(layer)
    graphed = torch.cuda.make_graphed_callables(theirs, (image().float().cuda().requires_grad_(),))
    assert_near(results(graphed, x.float().cuda(), list(theirs.parameters())), expected, 1e-5)


def test_memory_of_training_is_far_below_autograds() -> None:
    """The layer keeps no states: its peak stays under half of that of the steps as autograd records them."""
    layer = RNNPool2d(4, 16, 16, 8, 4).cuda()
    x = torch.randn(8, 4, 120, 160, device="cuda", requires_grad=True)
    p = torch.randn(8, 16, 120, 160, device="cuda", requires_grad=True)

    def peak(function: Callable[[], Tensor]) -> int:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        y = function()
        torch.autograd.grad(y, [p if y.shape[1] == 16 else x], torch.ones_like(y))
        return torch.cuda.max_memory_allocated() - before

    def steps() -> Tensor:
        from rnnpool.nn.sweep import _sweep_steps

        return _sweep_steps(p, layer.rnn1, 8, 4, range(8))

    assert peak(lambda: layer(x)) < peak(steps) / 2
