"""Anchor-free head: one score and one box a cell, in the manner of YuNet (Wu et al. 2023) and YOLOX.

A cell of stride s centred at (x, y) that predicts (dx, dy, lw, lh) means the box centred at (x + s dx, y + s dy) of
s exp(lw) by s exp(lh) input pixels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnpool.detection.cells import Cells, flatten_levels, make_cells, map_sizes
from rnnpool.detection.quality_loss import QualityLoss
from rnnpool.detection.targets import Target

# exp(+-4): from 0.15 pixels at stride 8 to 3,500 at stride 64. Bounds the gradient, and the range of the integer form.
LOG_SIZE_LIMIT = 4.0


class PointHead:
    """Decoding and loss of maps (B, 5, h, w): score logit, dx, dy, log w, log h.

    Args:
        strides: of the levels, in input pixels.
        box_loss, box_weight, focal_power: of the training loss; see ``QualityLoss``.
    """

    # Measured on face-tiny at three stages of its training, 259 validation images, against 0.45 without voting: AP easy
    # +.006 to +.014, medium +.003 to +.006. Voters from 0.6 on, or weighted by the score's square, add less.
    default_iou_threshold = 0.5
    default_vote_iou: float | None = 0.5

    def __init__(
        self,
        strides: Sequence[int],
        *,
        box_loss: str = "giou",
        box_weight: float = 2.0,
        focal_power: float = 0.0,
    ) -> None:
        self.strides = tuple(strides)
        self.scores_per_cell = (1,) * len(self.strides)
        self.quality_loss = QualityLoss(box_loss, box_weight, focal_power)

    def decode(self, outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Maps -> boxes (B, N, 4) xyxy in input pixels, scores (B, N) in 0..1."""
        flat = flatten_levels(outputs)  # (B, N, 5)
        cells = make_cells(map_sizes(outputs), self.strides, flat.device)
        return decode_points(flat[..., 1:], cells), flat[..., 0].sigmoid()

    def loss(self, outputs: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Terms "score" and "box", each a scalar divided by the positives of the batch (at least 1)."""
        sizes = map_sizes(outputs)
        flat = flatten_levels(outputs).float()  # (B, N, 5)
        cells = make_cells(sizes, self.strides, flat.device)
        boxes = decode_points(flat[..., 1:], cells)  # (B, N, 4)
        return self.quality_loss(flat[..., 0], boxes, cells.centres, targets, sizes, self.strides)


def decode_points(numbers: Tensor, cells: Cells) -> Tensor:
    """(..., N, 4) dx, dy, log w, log h -> (..., N, 4) xyxy in input pixels."""
    stride = cells.strides[:, None]  # (N, 1)
    centre = cells.centres + stride * numbers[..., :2]
    half = 0.5 * stride * numbers[..., 2:].clamp(-LOG_SIZE_LIMIT, LOG_SIZE_LIMIT).exp()
    return torch.cat((centre - half, centre + half), dim=-1)


def encode_points(boxes: Tensor, cells: Cells) -> Tensor:
    """The inverse of ``decode_points`` for (..., N, 4) xyxy boxes of positive size."""
    stride = cells.strides[:, None]
    centre, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    return torch.cat(((centre - cells.centres) / stride, (size / stride).log()), dim=-1)
