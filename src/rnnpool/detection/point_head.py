"""Anchor-free head: one score and one box a cell, in the manner of YuNet (Wu et al. 2023) and YOLOX.

A cell of stride s centred at (x, y) that predicts (dx, dy, lw, lh) means the box centred at (x + s dx, y + s dy) of
s exp(lw) by s exp(lh) input pixels. The score is trained towards the IoU of the predicted box (as in generalised focal
loss, Li et al. 2020), so that one number ranks both "is it a face" and "is the box good".
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

from rnnpool.detection.assignment import assign
from rnnpool.detection.cells import Cells, centres_inside, flatten_levels, make_cells, map_sizes
from rnnpool.detection.targets import Target
from rnnpool.errors import InputError

# exp(+-4): from 0.15 pixels at stride 8 to 3,500 at stride 64. Bounds the gradient, and the range of the integer form.
LOG_SIZE_LIMIT = 4.0
BOX_LOSSES = {"giou": generalized_box_iou_loss, "diou": distance_box_iou_loss, "ciou": complete_box_iou_loss}


class PointHead:
    """Decoding and loss of maps (B, 5, h, w): score logit, dx, dy, log w, log h.

    Args:
        strides: of the levels, in input pixels.
        box_loss: "giou", "diou" or "ciou".
        box_weight: of the box term against the score term.
        focal_power: each cell's cross-entropy is weighted by \\|target - score\\| to this power (quality focal loss);
            0 is plain cross-entropy.
    """

    default_iou_threshold = 0.45

    def __init__(
        self,
        strides: Sequence[int],
        *,
        box_loss: str = "giou",
        box_weight: float = 2.0,
        focal_power: float = 0.0,
    ) -> None:
        if box_loss not in BOX_LOSSES:
            raise InputError(f"box_loss is {box_loss!r}; it may be {', '.join(BOX_LOSSES)}")
        self.strides = tuple(strides)
        self.scores_per_cell = (1,) * len(self.strides)
        self.box_loss = box_loss
        self.box_weight = box_weight
        self.focal_power = focal_power

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
        logits, boxes = flat[..., 0], decode_points(flat[..., 1:], cells)  # (B, N), (B, N, 4)
        matched = assign(logits, boxes, [target["boxes"] for target in targets], sizes, self.strides)
        positives = max(1, len(matched.cell))

        goal = torch.zeros_like(logits)
        goal.view(-1)[matched.cell] = matched.iou
        weight = torch.ones_like(logits)
        for image, target in enumerate(targets):
            if len(target["ignore"]):
                weight[image, centres_inside(cells.centres, target["ignore"])] = 0.0
        weight.view(-1)[matched.cell] = 1.0
        if self.focal_power > 0:
            weight = weight * (goal - logits.detach().sigmoid()).abs() ** self.focal_power
        score = F.binary_cross_entropy_with_logits(logits, goal, weight=weight, reduction="sum")

        objects = torch.cat([target["boxes"] for target in targets])
        box_loss = BOX_LOSSES[self.box_loss](boxes.reshape(-1, 4)[matched.cell], objects[matched.object], "sum")
        return {"score": score / positives, "box": self.box_weight * box_loss / positives}


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
