"""The sum of two maps, the second of which may be half as large."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from rnnpool.integer.arithmetic import RESULT_LIMIT
from rnnpool.integer.elementwise import IntAdd, quantise_add
from rnnpool.integer.layers.base import Layer
from rnnpool.integer.tensors import Quantisation


@dataclass(eq=False, kw_only=True)
class Addition(Layer):
    """a + b; with ``upsample`` each pixel of b is repeated twice both ways, and b is cut to the size of a."""

    kind: ClassVar[str] = "add"
    upsample: bool = False

    def real(self, *inputs: Tensor) -> Tensor:
        a, b = inputs
        if self.upsample:
            b = F.interpolate(b, scale_factor=2.0, mode="nearest")[..., : a.shape[2], : a.shape[3]]
        return a + b

    def least_scale(self, inputs: Sequence[Quantisation]) -> float:
        a, b = inputs
        return 255 * (a.scale + b.scale) / (RESULT_LIMIT - 256)

    def quantise(self, inputs: Sequence[Quantisation], output: Quantisation) -> IntAdd:
        return quantise_add(inputs[0], inputs[1], output, upsample=self.upsample)
