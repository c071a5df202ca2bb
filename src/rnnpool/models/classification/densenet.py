"""DenseNet121: Huang et al. 2017 (arXiv:1608.06993), table 1; with RNNPool: Saha et al., NeurIPS 2020, table 2."""

from rnnpool.models.classification.downsampling import Site
from rnnpool.models.classification.family import Family, register_family
from rnnpool.models.classification.rows import ConvFlat, Dense, MaxPool, NormAct, Transition

DENSENET121 = Family(
    "densenet121",
    "DenseNet121",
    stem={"conv0 norm0 relu0": ConvFlat(64)},
    early={
        "pool0": MaxPool(padding=1),
        "denseblock1": Dense(6),
        "transition1": Transition(128),
        "denseblock2": Dense(12),
    },
    tail={
        "transition2": Transition(256),
        "denseblock3": Dense(24),
        "transition3": Transition(512),
        "denseblock4": Dense(16),
        "norm5 relu5": NormAct(),
    },
    site=Site(kernel=8, hidden=48),
    torchvision="densenet121",
    dropout=0.0,
)

register_family(DENSENET121)
