"""RNNPool in a network of your own: ``replace(model, "layer1", "layer2", input_size=(3, 224, 224))``."""

from rnnpool.surgery.fit import PoolFit, fit_rnnpool
from rnnpool.surgery.replace import replace

__all__ = ["PoolFit", "fit_rnnpool", "replace"]
