"""Normalisation of each pixel to length 1 over its channels (S3FD normalises the sources of its first heads)."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Op, Shape
from rnnpool.graph.ops.affine import Affine
from rnnpool.graph.tracer import Traced, Tracer, lowers, lowers_module
from rnnpool.models.s3fd_predictor import L2Norm as L2NormModule


@dataclass(frozen=True)
class L2Norm(Op):
    """x / length over the channels of a pixel: length is sqrt(sum x^2 + eps) if ``added``, else max(|x|, eps)."""

    kind: ClassVar[str] = "l2_norm"
    # All channels of a pixel are read before its first is written: in place, pixel by pixel.
    in_place: ClassVar[bool] = True
    eps: float
    added: bool

    def infer(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def run(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        if self.added:
            return x / (x.square().sum(dim=1, keepdim=True) + self.eps).sqrt()
        return F.normalize(x, dim=1, eps=self.eps)


@lowers_module(L2NormModule)
def _l2_norm(tracer: Tracer, module: L2NormModule, x: Traced) -> Traced:
    return tracer.add(Affine(module.weight, None), tracer.add(L2Norm(module.eps, added=True), x))


@lowers("normalize")
def _normalize(tracer: Tracer, input: Traced, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Traced:
    if p != 2 or dim % input.dim() != 1:
        raise InputError(f"{tracer.place()}: normalize(p={p}, dim={dim}); it may be p=2 over dim=1, the channels")
    return tracer.add(L2Norm(eps, added=False), input)
