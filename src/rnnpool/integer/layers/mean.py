"""Global average pooling."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from rnnpool.integer.elementwise import IntMean, quantise_mean
from rnnpool.integer.layers.base import FINEST, Layer
from rnnpool.integer.tensors import Quantisation


@dataclass(eq=False, kw_only=True)
class Mean(Layer):
    """(C, H, W) -> (C, 1, 1)."""

    kind: ClassVar[str] = "mean"

    def real(self, *inputs: Tensor) -> Tensor:
        return inputs[0].mean((2, 3), keepdim=True)

    def least_scale(self, inputs: Sequence[Quantisation]) -> float:
        _, height, width = self.inputs[0].shape
        return FINEST * inputs[0].scale / (height * width)

    def quantise(self, inputs: Sequence[Quantisation], output: Quantisation) -> IntMean:
        _, height, width = self.inputs[0].shape
        return quantise_mean(inputs[0], output, height * width)
