"""What turns a source map of an S3FD detector into its scores and offsets."""

import math

import torch
from torch import Tensor, nn

from rnnpool.models.blocks import ConvNormAct


class L2Norm(nn.Module):
    """x / |x| * scale: each position's vector to length one, then a learnt scale a channel (ParseNet, Liu et al. 2015).

    ``eps`` is added to the squared length. The reference adds 1e-10 to the length, which lets the gradient of a nearly
    empty position (behind a ReLU) grow without bound; a vector of length 1 or more changes by less than 1e-4 of it.
    """

    def __init__(self, channels: int, scale: float, eps: float = 1e-4) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), float(scale)))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same."""
        length = (x.square().sum(dim=1, keepdim=True) + self.eps).sqrt()  # (B, 1, h, w)
        return x / length * self.weight[:, None, None]


class S3FDPredictor(nn.Sequential):
    """(B, c_in, h, w) -> (B, scores + 4, h, w), or half of h and w with ``reduce``.

    Args:
        c_in: channels of the source.
        scores: classes a cell, background first.
        scale: start of the L2 normalisation's scale; None normalises nothing.
        reduce: before the output a 3x3 convolution of stride 2, with batch norm and ReLU6, to this many channels for
            the scores and as many for the offsets; None has none. The output is then in two groups, one for each.
    """

    def __init__(self, c_in: int, scores: int, scale: float | None, reduce: int | None = None) -> None:
        layers: list[nn.Module] = [] if scale is None else [L2Norm(c_in, scale)]
        if reduce is None:
            layers.append(nn.Conv2d(c_in, scores + 4, 3, padding=1))
        else:
            if scores != 4:
                raise ValueError(f"two equal groups need as many scores as offsets, 4; scores is {scores}")
            layers += [ConvNormAct(c_in, 2 * reduce, 3, 2, act="relu6")]
            layers += [nn.Conv2d(2 * reduce, scores + 4, 3, padding=1, groups=2)]
        super().__init__(*layers)
        self.scores = scores

    def init_output(self, prior: float) -> None:
        """Start with every face score at ``prior`` and every box at its anchor."""
        output = self[-1]
        assert isinstance(output, nn.Conv2d)
        assert output.bias is not None
        nn.init.normal_(output.weight, std=0.01)
        nn.init.zeros_(output.bias)
        nn.init.constant_(output.bias[self.scores - 1 : self.scores], math.log(prior / (1 - prior)))
