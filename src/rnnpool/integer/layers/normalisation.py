"""Normalisation of each pixel to length 1 over its channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from rnnpool.integer.l2norm import FINEST_OUTPUT, IntL2Norm, least_scale, quantise_l2norm
from rnnpool.integer.layers.base import Layer
from rnnpool.integer.tensors import Quantisation


@dataclass(eq=False, kw_only=True)
class Normalisation(Layer):
    """x / length; length is sqrt(sum x^2 + eps) if ``added``, else max(|x|, eps)."""

    kind: ClassVar[str] = "l2_norm"
    eps: float
    added: bool

    def real(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        if self.added:
            return x / (x.square().sum(dim=1, keepdim=True) + self.eps).sqrt()
        return F.normalize(x, dim=1, eps=self.eps)

    def least_scale(self, inputs: Sequence[Quantisation]) -> float:
        return FINEST_OUTPUT * 1.001

    def least_input_scale(self) -> float:
        """eps is stored in units of the input's square: numbers that are nothing beside it need none so fine."""
        return least_scale(self.shape[0], self.eps) if self.added else 0.0

    def quantise(self, inputs: Sequence[Quantisation], output: Quantisation) -> IntL2Norm:
        return quantise_l2norm(inputs[0], output, self.shape[0], self.eps if self.added else 0.0)
