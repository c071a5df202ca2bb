"""Padding by zeros or by the border's pixels: numbers are copied."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from rnnpool.integer.elementwise import IntPad
from rnnpool.integer.layers.base import Layer
from rnnpool.integer.tensors import Quantisation


@dataclass(eq=False, kw_only=True)
class Padding(Layer):
    """``sides`` are left, right, top, bottom."""

    kind: ClassVar[str] = "pad"
    copies: ClassVar[bool] = True
    replicate: bool
    sides: tuple[int, int, int, int]

    def real(self, *inputs: Tensor) -> Tensor:
        return F.pad(inputs[0], self.sides, mode="replicate" if self.replicate else "constant")

    def quantise(self, inputs: Sequence[Quantisation], output: Quantisation) -> IntPad:
        return IntPad(self.sides, self.replicate, output.zero_point)
