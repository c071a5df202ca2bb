"""The camera's bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rnnpool.integer.layers.base import IntOp, Layer
from rnnpool.integer.tensors import Quantisation


@dataclass(eq=False, kw_only=True)
class ImageLayer(Layer):
    """Where a network begins; its bytes have the quantisation ``tensors.IMAGE``."""

    kind: ClassVar[str] = "image"
    copies: ClassVar[bool] = True

    def quantise(self, inputs: Sequence[Quantisation], output: Quantisation) -> IntOp:
        raise AssertionError("the image is given, not computed")
