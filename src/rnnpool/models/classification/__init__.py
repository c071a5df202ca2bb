"""Image classifiers of the RNNPool paper, each with RNNPool and with its rivals; importing this registers them."""

from rnnpool.models.classification import (
    densenet,
    efficientnet,
    googlenet,
    mobilenet_v1,
    mobilenet_v2,
    pooled,
    resnet,
    vww,
)
from rnnpool.models.classification.network import Classifier

__all__ = [
    "Classifier",
    "densenet",
    "efficientnet",
    "googlenet",
    "mobilenet_v1",
    "mobilenet_v2",
    "pooled",
    "resnet",
    "vww",
]
