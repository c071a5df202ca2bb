"""The layers that an integer network is made of: each has one real meaning and one integer kernel, a file a kind."""

from rnnpool.integer.layers.addition import Addition
from rnnpool.integer.layers.base import IntOp, Layer
from rnnpool.integer.layers.convolution import Convolution
from rnnpool.integer.layers.image import ImageLayer
from rnnpool.integer.layers.mean import Mean
from rnnpool.integer.layers.normalisation import Normalisation
from rnnpool.integer.layers.padding import Padding
from rnnpool.integer.layers.rnnpooling import RNNPooling

__all__ = [
    "Addition",
    "Convolution",
    "ImageLayer",
    "IntOp",
    "Layer",
    "Mean",
    "Normalisation",
    "Padding",
    "RNNPooling",
]
