"""EfficientNet-B0: Tan, Le 2019 (arXiv:1905.11946), table 1; with RNNPool: Saha et al., NeurIPS 2020, table 2."""

from rnnpool.models.classification.downsampling import Site
from rnnpool.models.classification.family import Family, register_family
from rnnpool.models.classification.rows import SqueezedInverted
from rnnpool.models.tables import Conv

EFFICIENTNET_B0 = Family(
    "efficientnet_b0",
    "EfficientNet-B0",
    stem={"0": Conv(32, s=2)},
    early={
        "1": SqueezedInverted(1, 3, 16),
        "2": SqueezedInverted(6, 3, 24, n=2, s=2),
        "3": SqueezedInverted(6, 5, 40, n=2, s=2),
    },
    tail={
        "4": SqueezedInverted(6, 3, 80, n=3, s=2),
        "5": SqueezedInverted(6, 5, 112, n=3),
        "6": SqueezedInverted(6, 5, 192, n=4, s=2),
        "7": SqueezedInverted(6, 3, 320),
        "8": Conv(1280, k=1),
    },
    site=Site(kernel=6, hidden=16),
    act="silu",
    head="classifier.1",
    torchvision="efficientnet_b0",
)

register_family(EFFICIENTNET_B0)
