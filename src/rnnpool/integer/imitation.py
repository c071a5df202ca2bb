"""A network in real numbers that rounds where its integers do: the forward pass of quantisation-aware training.

Every layer computes with the constants that its integers hold, and its result is rounded to what would be stored; both
come from the conversion itself, so that nothing of the arithmetic is written down twice. Results equal the
simulator's but for rare bytes, where a real number falls on the other side of a rounding. The backward pass is that of
the real network, straight through all rounding, with no gradient where a stored range cuts.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnpool.integer.layers import Layer
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.real_network import RealNetwork
from rnnpool.integer.tensors import ChannelScales, Quantisation


def imitate(real: RealNetwork, network: IntNetwork, image: Tensor) -> list[Tensor]:
    """What ``network`` returns for (B, C, H, W) of (v - 128) / 128, in the dtype and on the device of ``image``.

    Args:
        real: what ``network`` was made from (``quantise``); gradients pass to its layers' tensors.
    """
    nodes = dict(zip(real.layers, network.nodes, strict=True))

    def compute(layer: Layer, values: Sequence[Tensor]) -> Tensor:
        node = nodes[layer]
        if node.op is None:
            return round_to(node.output, image)
        inputs = [_bytes(nodes[source].output) for source in layer.inputs]
        value = layer.imitate(node.op, inputs, node.output, *values)
        return value if layer.copies else round_to(node.output, value)

    return real.walk(compute)


def round_to(output: Quantisation | ChannelScales, value: Tensor) -> Tensor:
    """(B, C, H, W) -> the nearest that is stored; the gradient is 1 within the stored range, 0 beyond."""
    if isinstance(output, ChannelScales):
        scale = torch.from_numpy(output.scale).to(value)[:, None, None]
        return _Round.apply(value, scale, -32768, 32767)
    return _Round.apply(value, output.scale, -output.zero_point, 255 - output.zero_point)


class _Round(torch.autograd.Function):
    """The nearest multiple of ``scale``, halves upwards, from ``low`` to ``high`` times it.

    torch.fake_quantize_per_tensor_affine rounds halves to even, and takes three times as long on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        value, scale, low, high = inputs
        stored = (value / scale).add_(0.5).floor_()
        cut = stored.clamp(low, high)
        ctx.save_for_backward(stored == cut)
        return cut.mul_(scale)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (inside,) = ctx.saved_tensors
        return upstream[0] * inside, None, None, None


def _bytes(output: Quantisation | ChannelScales) -> Quantisation:
    assert isinstance(output, Quantisation)  # int16 results are read by nobody
    return output
