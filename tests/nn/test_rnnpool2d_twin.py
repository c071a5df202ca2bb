"""RNNPool2d against its twin over random shapes: outputs and gradients, natively and in torch, every cell."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rnnpool_twin import Pool, twin_of
from sweep_paths import HERE

from rnnpool.nn import RNNPool2d

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


@st.composite
def layers(draw: st.DrawFn) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Arguments of a layer, and the shape of an input that it takes."""
    cell = draw(st.sampled_from(["fastgrnn", "fastgrnn", "gru", "lstm"]))
    kernel, stride = draw(pairs), draw(pairs)
    padding = draw(st.tuples(st.integers(0, 1), st.integers(0, 1)))
    options: dict[str, Any] = {"cell": cell, "output_padding": draw(st.sampled_from(["none", "replicate"]))}
    if cell == "fastgrnn":
        options |= {"gates": draw(st.sampled_from(["smooth", "piecewise"])), "trainable_mix": draw(st.booleans())}
    sizes = {name: draw(st.integers(1, 5)) for name in ("in_channels", "hidden1", "hidden2")}
    least = [k - 2 * p for k, p in zip(kernel, padding, strict=True)]
    height, width = (max(1, size) + draw(st.integers(0, 4)) for size in least)
    shape = draw(st.integers(1, 2)), sizes["in_channels"], height, width
    return {**sizes, "kernel_size": kernel, "stride": stride, "padding": padding, **options}, shape


def lively(layer: RNNPool2d, seed: int) -> RNNPool2d:
    """Parameters large enough for every gate to matter and for some to saturate."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(0.8 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return layer


def expected_slopes(twin: Pool, layer: RNNPool2d, images: np.ndarray, upstream: np.ndarray) -> dict[str, Any]:
    """For each tensor a random direction, and how fast sum(upstream * y) grows along it."""
    random = np.random.default_rng(0)
    shapes = {"images": images.shape, **{name: tuple(p.shape) for name, p in layer.named_parameters()}}
    directions = {name: random.standard_normal(shape) for name, shape in shapes.items()}
    return {name: (d, twin.slope(images, upstream, name, d)) for name, d in directions.items()}


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(layers())
def test_outputs_and_gradients(drawn: tuple[dict[str, Any], tuple[int, ...]]) -> None:
    """To 1e-12 in float64 and 1e-5 in float32, relative to the size of what is compared once that exceeds 1."""
    arguments, shape = drawn
    # Drawn in float32, so that both precisions start from the same numbers.
    layer = lively(RNNPool2d(**arguments), seed=sum(shape))
    images = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    twin = twin_of(layer)
    y = twin(images.double().numpy())
    upstream = np.random.default_rng(2).standard_normal(y.shape)
    slopes = expected_slopes(twin, layer, images.double().numpy(), upstream)
    for path, context in HERE.items():
        for dtype, tolerance in TOLERANCE.items():
            with context():
                ours = layer.to(dtype)
                x = images.clone().to(dtype).requires_grad_()
                ours.zero_grad()
                out = ours(x)
                out.backward(torch.from_numpy(upstream).to(dtype))
            np.testing.assert_allclose(out.detach(), y, rtol=0, atol=tolerance, err_msg=f"{path} {dtype}")
            if dtype == torch.float32 and arguments.get("gates") == "piecewise":
                continue  # rounding can carry a pre-activation over a kink, where the slope jumps
            tensors = {"images": x, **dict(ours.named_parameters())}
            for name, (direction, slope) in slopes.items():
                # One step from the zero state does not use weight_hidden: no gradient.
                gradient = tensors[name].grad if tensors[name].grad is not None else torch.zeros(direction.shape)
                terms = gradient.double().numpy() * direction
                along, scale = float(terms.sum()), max(1.0, float(np.abs(terms).sum()))
                assert along == pytest.approx(slope, rel=0, abs=tolerance * scale), f"{path} {dtype} {name}"


@pytest.mark.parametrize("hidden", [4, 16, 17, 48])
@pytest.mark.usefixtures("path")
def test_widths_of_the_published_models(hidden: int) -> None:
    """State sizes on and off the kernel's block of four, more lines than its lanes, lanes that run over images."""
    layer = lively(RNNPool2d(3, hidden, hidden, 3, 2).double(), seed=hidden)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(hidden**-0.5)
    images = torch.randn(5, 3, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(layer(images).detach(), twin_of(layer)(images.numpy()), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_equals_torch_patch_by_patch(kind: str) -> None:
    """torch.nn.GRU and LSTM with the same weights over the patches of ``unfold``, one patch a batch entry."""
    layer = lively(RNNPool2d(3, 5, 4, (3, 2), (2, 1), cell=kind).double(), seed=3)
    images = torch.randn(2, 3, 7, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rnns = []
    for cell in (layer.rnn1, layer.rnn2):
        rnn = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[kind](cell.input_size, cell.hidden_size).double()
        weights = (cell.weight_input, cell.weight_hidden, cell.bias_input, cell.bias_hidden)
        rnn.load_state_dict(
            dict(zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), weights, strict=True))
        )
        rnns.append(rnn)

    def last(rnn: torch.nn.Module, sequence: torch.Tensor) -> torch.Tensor:
        return rnn(sequence)[0][-1]

    patches = images.unfold(2, 3, 2).unfold(3, 2, 1)  # (B, C, OH, OW, kh, kw)
    b, c, oh, ow, kh, kw = patches.shape
    grid = patches.permute(4, 5, 0, 2, 3, 1).reshape(kh, kw, b * oh * ow, c)
    rows = torch.stack([last(rnns[0], grid[r]) for r in range(kh)])
    columns = torch.stack([last(rnns[0], grid[:, k]) for k in range(kw)])
    y = torch.cat([last(rnns[1], s) for s in (rows, rows.flip(0), columns, columns.flip(0))], dim=1)
    expected = y.reshape(b, oh, ow, -1).permute(0, 3, 1, 2)
    torch.testing.assert_close(layer(images), expected, rtol=0, atol=1e-13)
