"""ResNet18: He et al. 2016 (arXiv:1512.03385), table 1; with RNNPool: Saha et al., NeurIPS 2020, table 2."""

from rnnpool.models.classification.downsampling import Site
from rnnpool.models.classification.family import Family, register_family
from rnnpool.models.classification.rows import Basic, ConvFlat, MaxPool

RESNET18 = Family(
    "resnet18",
    "ResNet18",
    stem={"conv1 bn1 relu": ConvFlat(64)},
    early={"maxpool": MaxPool(padding=1), "layer1": Basic(64), "layer2": Basic(128, s=2)},
    tail={"layer3": Basic(256, s=2), "layer4": Basic(512, s=2)},
    site=Site(kernel=8, hidden=32),
    head="fc",
    torchvision="resnet18",
    dropout=0.0,
)

register_family(RESNET18)
