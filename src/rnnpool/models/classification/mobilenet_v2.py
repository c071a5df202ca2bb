"""MobileNetV2: Sandler et al. 2018 (arXiv:1801.04381), table 2, as torchvision numbers its features.

With RNNPool: Saha et al., NeurIPS 2020, table 10 of the appendix as rnnpool.md section 5 gives it. The ablations of its
tables 16 and 18 change the patch, the stride, the hidden sizes or the cell of that RNNPool.
"""

from rnnpool.models.classification.downsampling import PoolOptions, Site
from rnnpool.models.classification.family import Family, register_family
from rnnpool.models.classification.rows import InvertedResidual
from rnnpool.models.tables import Conv

MOBILENET_V2 = Family(
    "mobilenet_v2",
    "MobileNetV2",
    stem={"0": Conv(32, s=2)},
    early={
        "1": InvertedResidual(1, 16),
        "2 3": InvertedResidual(6, 24, n=2, s=2),
        "4 5 6": InvertedResidual(6, 32, n=3, s=2),
    },
    tail={
        "7 8 9 10": InvertedResidual(6, 64, n=4, s=2),
        "11 12 13": InvertedResidual(6, 96, n=3),
        "14 15 16": InvertedResidual(6, 160, n=3, s=2),
        "17": InvertedResidual(6, 320),
        "18": Conv(1280, k=1),
    },
    site=Site(kernel=6, hidden=16),
    act="relu6",
    head="classifier.1",
    torchvision="mobilenet_v2",
)

ABLATIONS = {
    "patch4": PoolOptions(kernel=4),
    "patch8": PoolOptions(kernel=8),
    "h8": PoolOptions(hidden=8),
    "h32": PoolOptions(hidden=32),
    "stride8": PoolOptions(kernel=12, stride=8),
    "twice": PoolOptions(repeats=2),
    "gru": PoolOptions(cell="gru"),
    "lstm": PoolOptions(cell="lstm"),
}

register_family(MOBILENET_V2, ABLATIONS)
