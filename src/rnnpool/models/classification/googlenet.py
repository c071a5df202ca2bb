"""GoogLeNet without its auxiliary classifiers: Szegedy et al. 2015 (arXiv:1409.4842), table 1, as torchvision has it.

With RNNPool: Saha et al., NeurIPS 2020, table 2; RNNPool takes the place of all up to inception 3b. torchvision's
trained weights expect inputs of (v / 255 - 0.5) / 0.5.
"""

from rnnpool.models.classification.downsampling import Site
from rnnpool.models.classification.family import Family, register_family
from rnnpool.models.classification.rows import BasicConv, Inception, MaxPool

GOOGLENET = Family(
    "googlenet",
    "GoogLeNet",
    stem={"conv1": BasicConv(64, k=7, s=2)},
    early={
        "maxpool1": MaxPool(ceil_mode=True),
        "conv2": BasicConv(64, k=1),
        "conv3": BasicConv(192, k=3),
        "maxpool2": MaxPool(ceil_mode=True),
        "inception3a": Inception(64, 96, 128, 16, 32, 32),
        "inception3b": Inception(128, 128, 192, 32, 96, 64),
    },
    tail={
        "maxpool3": MaxPool(ceil_mode=True),
        "inception4a": Inception(192, 96, 208, 16, 48, 64),
        "inception4b": Inception(160, 112, 224, 24, 64, 64),
        "inception4c": Inception(128, 128, 256, 24, 64, 64),
        "inception4d": Inception(112, 144, 288, 32, 64, 64),
        "inception4e": Inception(256, 160, 320, 32, 128, 128),
        "maxpool4": MaxPool(k=2, ceil_mode=True),
        "inception5a": Inception(256, 160, 320, 32, 128, 128),
        "inception5b": Inception(384, 192, 384, 48, 128, 128),
    },
    site=Site(kernel=8, hidden=32),
    head="fc",
    torchvision="googlenet",
)

register_family(GOOGLENET)
