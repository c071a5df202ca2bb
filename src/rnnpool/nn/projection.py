"""W x of every pixel of a map, a 1x1 convolution, with a native form for few channels and many pixels.

A convolution library is made for many channels: at the sizes of an RNNPool it spent as long on W x and its gradient as
the sweeps take. The native form (``rnnpool.nn.native``) reads a tile of pixels once, and a part of a map in place.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnpool.nn import native
from rnnpool.nn.switch import recorded


def linear(weight: Tensor, x: Tensor) -> Tensor:
    """weight (out, in) times the channels of x (B, in, n, I) -> (B, out, n, I), as a product of matrices."""
    # Weights of half a state's precision under autocast serve in the state's.
    return torch.matmul(weight.to(x.dtype), _matrices(x)).reshape(x.shape[0], weight.shape[0], *x.shape[2:])


def weight_gradient(d: Tensor, x: Tensor) -> Tensor:
    """Of ``linear``: the sum of d x' over images and places of d (B, out, n, I) and x (B, in, n, I) -> (out, in)."""
    return torch.matmul(_matrices(d), _matrices(x).transpose(1, 2)).sum(0)


def _matrices(x: Tensor) -> Tensor:
    """(B, c, n, I) -> (B, c, n * I)."""
    return x.reshape(*x.shape[:2], x.shape[2] * x.shape[3])  # is_grads_batched has no rule for flatten, nor for einsum


def project(x: Tensor, weight: Tensor, height: int, width: int) -> Tensor:
    """weight (o, c) times the first rows and columns of x (B, c, H, W) -> (B, o, height, width)."""
    if torch.compiler.is_compiling() and not torch.compiler.is_exporting():
        # Inductor (2.14) lays maps of a convolution out with channels last, and fails where their sizes vary.
        return linear(weight, x[:, :, :height, :width])
    kernels = not recorded()
    if kernels and x.dtype == weight.dtype and x.stride(3) == 1 and native.available(x):
        return Projection.apply(x, weight, height, width)
    if kernels and x.stride(2) < x.stride(3):  # as sweeps leave it; a convolution would first copy the map
        return project(x.transpose(2, 3), weight, width, height).transpose(2, 3)
    return F.conv2d(x[:, :, :height, :width], weight[:, :, None, None])


class Projection(torch.autograd.Function):
    """``project`` natively; a backward pass that is itself differentiated runs in torch operators."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        x, weight, height, width = inputs
        ctx.save_for_backward(x, weight)
        return native.project(x, weight, height, width)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (dp,) = upstream
        x, weight = ctx.saved_tensors
        height, width = dp.shape[2:]
        if torch.is_grad_enabled() or not native.available(x, dp):
            margins = (0, x.shape[3] - width, 0, x.shape[2] - height)
            dx = F.pad(F.conv2d(dp, weight.T[:, :, None, None]), margins)
            return dx, weight_gradient(dp, x[:, :, :height, :width]), None, None
        return *native.project_backward(x, weight, dp, need_dx=ctx.needs_input_grad[0]), None, None
