"""Convolutions and fully connected layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from rnnpool.graph.ops.conv import Pair
from rnnpool.integer.arithmetic import RESULT_LIMIT
from rnnpool.integer.convolution import IntConv, quantise_convolution, quantise_to_i16
from rnnpool.integer.layers.base import FINEST, IntOp, Layer, straight_through
from rnnpool.integer.tensors import NIBBLE, ChannelScales, Quantisation

MOST_PADDING = 4  # columns of zero points that kernels of convolutions take (rnp_tile.h)
_ROUNDING = 1.02  # room for stored numbers that are rounded up


@dataclass(eq=False, kw_only=True)
class Convolution(Layer):
    """``weight`` (O, I / groups, kh, kw), depthwise (C, 1, kh, kw); ``bias`` (O,); batch norm is folded in."""

    kind: ClassVar[str] = "conv"
    weight: Tensor
    bias: Tensor
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    depthwise: bool = False
    groups: int = 1  # of one that is not depthwise
    nibbles: bool = False  # weights of 4 bits

    def real(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        return self._convolve(x, self.weight.to(x), self.bias.to(x))

    def imitate(
        self, op: IntOp, inputs: Sequence[Quantisation], output: Quantisation | ChannelScales, *values: Tensor
    ) -> Tensor:
        assert isinstance(op, IntConv)
        (x,) = values
        constants = op.real_constants(inputs[0], output.scale)
        weight, bias = (
            straight_through(torch.from_numpy(rounded).to(x), real.to(x))
            for rounded, real in zip(constants, (self.weight, self.bias), strict=True)
        )
        return self._convolve(x, weight, bias)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        groups = len(weight) if self.depthwise else self.groups
        return F.conv2d(x, weight, bias, self.stride, self.padding, groups=groups)

    def least_scale(self, inputs: Sequence[Quantisation]) -> float:
        (x,) = inputs
        weight = as_array(self.weight).reshape(len(self.weight), -1)
        low, high = -x.zero_point * x.scale, (255 - x.zero_point) * x.scale
        positive, negative = np.maximum(weight, 0).sum(axis=1), np.minimum(weight, 0).sum(axis=1)
        bias = as_array(self.bias)
        reach = np.maximum(high * positive + low * negative + bias, -(low * positive + high * negative + bias))
        largest = float(np.abs(weight).max()) / (NIBBLE if self.nibbles else 127)
        return max(float(reach.max()) * _ROUNDING / (RESULT_LIMIT - 256), FINEST * x.scale * largest)

    def quantise(self, inputs: Sequence[Quantisation], output: Quantisation) -> IntConv:
        return quantise_convolution(
            as_array(self.weight),
            as_array(self.bias),
            inputs[0],
            output,
            stride=self.stride,
            padding=self.padding,
            depthwise=self.depthwise,
            groups=self.groups,
            nibbles=self.nibbles,
        )

    def quantise_wide(self, inputs: Sequence[Quantisation], scales: NDArray[np.float64]) -> IntConv:
        """Its integers with an int16 result, real = scales[channel] * stored."""
        return quantise_to_i16(
            as_array(self.weight),
            as_array(self.bias),
            inputs[0],
            scales,
            stride=self.stride,
            padding=self.padding,
            depthwise=self.depthwise,
            groups=self.groups,
        )

    @property
    def arrays(self) -> dict[str, NDArray]:
        return {"weight": as_array(self.weight), "bias": as_array(self.bias)}


def as_array(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().to(torch.float64).cpu().numpy()


def kernel_groups(weight: Tensor, groups: int, stride: Pair, padding: Pair) -> tuple[Tensor, int, bool]:
    """(O, I / groups, kh, kw) -> weights that have a kernel, their groups, and whether they are depthwise.

    Kernels compute two channels of a group at a time, or are depthwise 3x3 with padding 1 and a stride of 1 or 2. Other
    groups of an odd number of outputs are joined by twos with zeros, or to a single one if they are odd in number, too.
    """
    outputs, per_group, *kernel = weight.shape
    size = outputs // groups
    fits = (*kernel, *padding) == (3, 3, 1, 1) and stride in ((1, 1), (2, 2))
    if fits and groups > 1 and (size, per_group) == (1, 1):
        return weight, groups, True
    if size % 2 == 0 or groups == 1:
        return weight, groups, False
    joined = groups if groups % 2 else 2
    parts = weight.reshape(groups // joined, joined, size, per_group, *kernel)
    together = weight.new_zeros(groups // joined, joined, size, joined, per_group, *kernel)
    for group in range(joined):
        together[:, group, :, group] = parts[:, group]
    return together.reshape(outputs, joined * per_group, *kernel), groups // joined, False
