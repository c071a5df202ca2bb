"""ONNX export at opset 18 and above; onnxruntime computes the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnpool.nn import RNNPool2d

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
onnx = pytest.importorskip("onnx")


class Pools(nn.Module):
    """Several layers over one image: an export of all costs little more than of one."""

    def __init__(self, options: list[dict]) -> None:
        super().__init__()
        torch.manual_seed(0)
        common = {"output_padding": "replicate"}
        self.pools = nn.ModuleList(RNNPool2d(2, 4, 3, (2, 1), 2, 1, **common, **option) for option in options)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([pool(x) for pool in self.pools], dim=1)


@pytest.mark.parametrize(
    ("options", "batches"),
    [
        ([{}], (1, 2, 5)),
        # Any batch is what makes an export slow; one is enough to show it.
        ([{"gates": "piecewise", "trainable_mix": True}, {"cell": "gru"}, {"cell": "lstm"}], (2,)),
    ],
)
def test_onnxruntime_agrees(options: list[dict], batches: tuple[int, ...], tmp_path: Path) -> None:
    """To 1e-5, at batch sizes other than the one exported with, at the lowest opset of the exporter's own."""
    opset = 18
    pools, file = Pools(options).eval(), tmp_path / "pools.onnx"
    torch.onnx.export(
        pools,
        (torch.randn(2, 2, 6, 5),),
        file,
        input_names=["image"],
        output_names=["pooled"],
        dynamic_shapes=({0: torch.export.Dim("batch")},) if len(batches) > 1 else None,
        opset_version=opset,
        dynamo=True,
        verbose=False,
    )
    assert [entry.version for entry in onnx.load(file).opset_import if entry.domain == ""] == [opset]
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for batch in batches:
        x = torch.randn(batch, 2, 6, 5)
        (y,) = session.run(["pooled"], {"image": x.numpy()})
        np.testing.assert_allclose(y, pools(x).detach().numpy(), rtol=0, atol=1e-5)
