"""The Visual Wake Words networks: MobileNetV2 at width 0.35 with a last convolution of 320, two classes.

Saha et al., NeurIPS 2020, tables 1 and 2, and rnnpool.md section 5. Channels are the width's multiples rounded to
eights as torchvision rounds them. That makes the base's stem 16 wide; the published network with RNNPool has 8 there,
and so have its rivals here. The paper's input is 224 x 224; sizes from 96 up work (``input_size`` matters only where
the last pooling is an RNNPool).
"""

from torch import nn

from rnnpool.models.classification.downsampling import Site
from rnnpool.models.classification.family import Family, register_family
from rnnpool.models.classification.rows import InvertedResidual
from rnnpool.models.registry import model_info, register
from rnnpool.models.tables import Conv

MOBILENET_V2_035 = Family(
    "mobilenet_v2_035",
    "MobileNetV2 at width 0.35 for Visual Wake Words",
    stem={"0": Conv(8, s=2)},
    base_stem={"0": Conv(16, s=2)},
    early={
        "1": InvertedResidual(1, 8),
        "2 3": InvertedResidual(6, 8, n=2, s=2),
        "4 5 6": InvertedResidual(6, 16, n=3, s=2),
    },
    tail={
        "7 8 9 10": InvertedResidual(6, 24, n=4, s=2),
        "11 12 13": InvertedResidual(6, 32, n=3),
        "14 15 16": InvertedResidual(6, 56, n=3, s=2),
        "17": InvertedResidual(6, 112),
        "18": Conv(320, k=1),
    },
    site=Site(kernel=6, hidden=8),
    act="relu6",
    head="classifier.1",
    num_classes=2,
)

register_family(MOBILENET_V2_035)


@register(
    "vww-rnnpool",
    summary="ours: is there a person? mobilenet_v2_035-rnnpool at 128 x 128",
    task="classification",
    input_size=(3, 128, 128),
)
def vww_rnnpool(input_size: int = 128) -> nn.Module:
    """The default classifier: no person, person. Its weights are distilled (weights/vww-rnnpool.md)."""
    return model_info("mobilenet_v2_035-rnnpool").builder(input_size=input_size, init="orthogonal")
