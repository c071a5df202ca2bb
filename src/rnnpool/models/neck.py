"""The neck and predictors of the anchor-free detectors."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from rnnpool.models.blocks import ConvNormAct, Separable

PRIOR = 0.01  # the score every cell starts with (focal loss, Lin et al. 2017, section 4.1)


class TopDownNeck(nn.Module):
    """Every level to ``width`` channels; the first ``adds`` levels also receive the next coarser one.

    Few top-down adds, by intent. Streamed by rows, a fine row can be finished only after the coarser rows below it, so
    its ``width`` channels wait in a ring meanwhile. With one block after each stride the three levels 8, 16, 32 keep 6
    rows of the finest waiting; every further level doubles that, and a block more at the coarsest adds 4 rows.
    """

    def __init__(self, widths: Sequence[int], width: int, adds: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(ConvNormAct(c, width, 1, act=None) for c in widths)
        self.adds = adds

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Levels, finest first, each (B, C_l, h_l, w_l) with h_(l+1) = ceil(h_l / 2) -> (B, width, h_l, w_l) each."""
        levels = [lateral(feature) for lateral, feature in zip(self.laterals, features, strict=True)]
        for i in reversed(range(self.adds)):
            height, width = levels[i].shape[-2:]
            # Doubled exactly, then cut: an odd map's coarser one is half a cell larger.
            coarser = F.interpolate(levels[i + 1], scale_factor=2.0, mode="nearest")  # (B, width, 2 h, 2 w)
            levels[i] = levels[i] + coarser[..., :height, :width]
        return levels


class PointPredictor(nn.Sequential):
    """Depthwise 3x3 and 1x1 (batch norm, ReLU), then a 1x1 convolution to a score logit and four box numbers."""

    def __init__(self, width: int) -> None:
        super().__init__(Separable(width, width), nn.Conv2d(width, 5, 1))

    def init_output(self) -> None:
        """Start with every score at PRIOR and every box a square of the stride at its cell."""
        output = self[1]
        assert isinstance(output, nn.Conv2d)
        assert output.bias is not None
        nn.init.normal_(output.weight, std=0.01)
        nn.init.zeros_(output.bias)
        nn.init.constant_(output.bias[:1], -math.log((1 - PRIOR) / PRIOR))
