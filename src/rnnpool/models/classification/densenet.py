"""DenseNet121: Huang et al. 2017 (arXiv:1608.06993), table 1; with RNNPool: Saha et al., NeurIPS 2020, table 1.

Section 4 also replaces all five poolings of DenseNet121 by RNNPool and then drops dense layers, down to 42% of the
multiply-adds. It does not say which patches, nor which layers. Here an RNNPool has its pooling's patch and stride and
keeps its channels, and every block loses half its layers: 41.5% of the network with all its layers.
"""

from rnnpool.models.classification.downsampling import Site
from rnnpool.models.classification.family import Family, Rows, register_family, register_network
from rnnpool.models.classification.rows import ConvFlat, Dense, MaxPool, NormAct, PoolLike, Transition

LAYERS = (6, 12, 24, 16)
GROWTH = 32
STEM = 64


def _rows(layers: tuple[int, int, int, int], *, rnnpool: bool) -> tuple[Rows, Rows]:
    """The rows up to the second dense block and those after it; a transition halves the channels."""
    widths, width = [], STEM
    for count in layers[:3]:
        width = (width + count * GROWTH) // 2
        widths.append(width)
    first, second, third = (Transition(width, rnnpool=rnnpool) for width in widths)
    early: Rows = {
        "pool0": PoolLike(padding=1) if rnnpool else MaxPool(padding=1),
        "denseblock1": Dense(layers[0]),
        "transition1": first,
        "denseblock2": Dense(layers[1]),
    }
    tail: Rows = {
        "transition2": second,
        "denseblock3": Dense(layers[2]),
        "transition3": third,
        "denseblock4": Dense(layers[3]),
        "norm5 relu5": NormAct(),
    }
    return early, tail


def _family(name: str, title: str, layers: tuple[int, int, int, int], *, rnnpool: bool) -> Family:
    early, tail = _rows(layers, rnnpool=rnnpool)
    stem: Rows = {"conv0 norm0 relu0": ConvFlat(STEM)}
    site = Site(kernel=8, hidden=48)
    return Family(name, title, stem, early, tail, site, torchvision="densenet121", dropout=0.0)


HALF = (LAYERS[0] // 2, LAYERS[1] // 2, LAYERS[2] // 2, LAYERS[3] // 2)
DENSENET121 = _family("densenet121", "DenseNet121", LAYERS, rnnpool=False)
ALL_POOLINGS = _family(
    "densenet121-allpool", "DenseNet121, RNNPool in place of all five poolings", LAYERS, rnnpool=True
)
HALF_AS_DEEP = _family("densenet121-allpool-half", f"{ALL_POOLINGS.title}, half the dense layers", HALF, rnnpool=True)

register_family(DENSENET121)
for family in (ALL_POOLINGS, HALF_AS_DEEP):
    register_network(family, family.name, family.title, "base", last=True)
