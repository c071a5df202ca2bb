"""ONNX export at opset 18 and above; onnxruntime computes the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

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
    ("options", "sizes"),
    [
        ([{}], [(1, 6, 5), (2, 9, 16), (5, 8, 7)]),
        # Any size is what makes an export slow; one layer is enough to show it.
        ([{"gates": "piecewise", "trainable_mix": True}, {"cell": "gru"}, {"cell": "lstm"}], [(2, 6, 5)]),
    ],
)
def test_onnxruntime_agrees(options: list[dict], sizes: list[tuple[int, int, int]], tmp_path: Path) -> None:
    """To 1e-5, at batches, heights and widths other than those exported, at the lowest opset of the exporter's own."""
    opset = 18
    pools, file = Pools(options).eval(), tmp_path / "pools.onnx"
    any_size = {0: Dim("batch"), 2: Dim("height", min=4), 3: Dim("width", min=4)}
    torch.onnx.export(
        pools,
        (torch.randn(2, 2, 6, 5),),
        file,
        input_names=["image"],
        output_names=["pooled"],
        dynamic_shapes=(any_size,) if len(sizes) > 1 else None,
        opset_version=opset,
        dynamo=True,
        verbose=False,
    )
    assert [entry.version for entry in onnx.load(file).opset_import if entry.domain == ""] == [opset]
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for batch, height, width in sizes:
        x = torch.randn(batch, 2, height, width)
        (y,) = session.run(["pooled"], {"image": x.numpy()})
        np.testing.assert_allclose(y, pools(x).detach().numpy(), rtol=0, atol=1e-5)
