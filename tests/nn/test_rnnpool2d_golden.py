"""RNNPool2d against the reference's own numbers (tests/golden/README.md), natively and in torch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from rnnpool_twin import twin_of

from rnnpool.nn import RNNPool2d

GOLDEN = Path(__file__).parents[1] / "golden"
PARAMETERS = {"weight_input": "W", "weight_hidden": "U", "bias_gate": "bg", "bias_candidate": "bh"}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / name, allow_pickle=False) as arrays:
        return dict(arrays)


def layer_of(arrays: dict[str, np.ndarray], stride: int = 6, trainable_mix: bool = False) -> RNNPool2d:
    """A float64 layer with a golden file's parameters, patch 6."""
    in_channels, hidden1 = arrays["P1_W"].shape
    layer = RNNPool2d(in_channels, hidden1, arrays["P2_W"].shape[1], 6, stride, trainable_mix=trainable_mix).double()
    with torch.no_grad():
        for index, rnn in ((1, layer.rnn1), (2, layer.rnn2)):
            for ours, theirs in PARAMETERS.items():
                getattr(rnn, ours).copy_(torch.from_numpy(arrays[f"P{index}_{theirs}"].T))
            if trainable_mix:
                rnn.raw_zeta.copy_(torch.logit(torch.tensor(arrays[f"sigmoid_zeta{index}"])))
                rnn.raw_nu.copy_(torch.logit(torch.tensor(arrays[f"sigmoid_nu{index}"])))
    return layer


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_patches_and_image(dtype: torch.dtype) -> None:
    arrays = golden("golden_rnnpool_6x6_k3_h8_h5.npz")
    tolerance = TOLERANCE[dtype]
    patches = layer_of(arrays).to(dtype)(torch.from_numpy(arrays["x"]).to(dtype))
    np.testing.assert_allclose(patches.detach()[:, :, 0, 0], arrays["y"], rtol=0, atol=tolerance)
    image = layer_of(arrays, stride=4).to(dtype)(torch.from_numpy(arrays["img"]).to(dtype))
    np.testing.assert_allclose(image.detach(), arrays["img_out"], rtol=0, atol=tolerance)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_gradients(dtype: torch.dtype) -> None:
    arrays = golden("golden_rnnpool_grads.npz")
    layer = layer_of(arrays).to(dtype)
    x = torch.from_numpy(arrays["x"]).to(dtype).requires_grad_()
    (layer(x)[:, :, 0, 0] * torch.from_numpy(arrays["g"]).to(dtype)).sum().backward()
    expected = {"x": (x.grad, arrays["dx"])}
    for index, rnn in ((1, layer.rnn1), (2, layer.rnn2)):
        for ours, theirs in PARAMETERS.items():
            stored = arrays[f"d{theirs}{index}"]
            expected[f"{theirs}{index}"] = getattr(rnn, ours).grad, stored[0] if ours.startswith("bias") else stored.T
    for name, (ours, stored) in expected.items():
        scale = max(1.0, np.abs(stored).max())
        np.testing.assert_allclose(ours, stored, rtol=0, atol=TOLERANCE[dtype] * scale, err_msg=name)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_trained_trace(dtype: torch.dtype) -> None:
    """Microsoft's trained cells and mix on a real patch. Their y is float32, so 1e-6 is the most that can be asked."""
    arrays = golden("golden_vww_trained_trace.npz")
    x = torch.from_numpy(arrays["x"]).permute(2, 0, 1)[None].to(dtype)
    y = layer_of(arrays, trainable_mix=True).to(dtype)(x).detach().flatten()
    np.testing.assert_allclose(y, arrays["y"], rtol=0, atol=1e-6)
    paper_mix = layer_of(arrays).to(dtype)(x).detach().flatten().numpy()
    assert np.abs(paper_mix - arrays["y"]).max() > 5e-6, "the trace would not tell zeta, nu from 1, 0"


def test_the_twin_itself() -> None:
    """The definition that the other tests trust reproduces the reference, gradients included."""
    arrays = golden("golden_rnnpool_6x6_k3_h8_h5.npz")
    np.testing.assert_allclose(twin_of(layer_of(arrays))(arrays["x"])[:, :, 0, 0], arrays["y"], rtol=0, atol=1e-14)
    arrays = golden("golden_rnnpool_grads.npz")
    pool, upstream = twin_of(layer_of(arrays)), arrays["g"][:, :, None, None]
    direction = np.random.default_rng(0).standard_normal((8, 8))
    slope = pool.slope(arrays["x"], upstream, "rnn1.weight_hidden", direction)
    np.testing.assert_allclose(slope, (arrays["dU1"].T * direction).sum(), rtol=1e-13)
