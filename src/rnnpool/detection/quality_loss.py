"""The loss of detectors that are trained with dynamic assignment: one score a cell, learning the IoU of its box.

The score's target is the IoU of the box predicted now with the object that the cell answers for, and 0 elsewhere (as in
generalised focal loss, Li et al. 2020), so that one number ranks both "is it a face" and "is the box good". Boxes learn
by a loss on the decoded box, so it does not matter how a head writes its boxes: ``PointHead`` and ``S3FDHead`` share
this.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

from rnnpool.detection.assignment import assign
from rnnpool.detection.cells import centres_inside
from rnnpool.detection.positives import mean_positives
from rnnpool.detection.targets import Target
from rnnpool.errors import InputError

BOX_LOSSES = {"giou": generalized_box_iou_loss, "diou": distance_box_iou_loss, "ciou": complete_box_iou_loss}


@dataclass(frozen=True)
class QualityLoss:
    """Terms "score" and "box" of a batch.

    Args:
        box_loss: "giou", "diou" or "ciou".
        box_weight: of the box term against the score term.
        focal_power: each cell's cross-entropy is weighted by \\|target - score\\| to this power (quality focal loss);
            0 is plain cross-entropy.
    """

    box_loss: str = "giou"
    box_weight: float = 2.0
    focal_power: float = 0.0

    def __post_init__(self) -> None:
        if self.box_loss not in BOX_LOSSES:
            raise InputError(f"box_loss is {self.box_loss!r}; it may be {', '.join(BOX_LOSSES)}")

    def __call__(
        self,
        logits: Tensor,
        boxes: Tensor,
        centres: Tensor,
        targets: Sequence[Target],
        sizes: Sequence[tuple[int, int]],
        strides: Sequence[int],
    ) -> dict[str, Tensor]:
        """Each term is a scalar divided by the positives of the batch (``mean_positives``).

        Args:
            logits: (B, N) float32 scores before the sigmoid.
            boxes: (B, N, 4) float32 decoded boxes, xyxy in input pixels.
            centres: (N, 2) of the cells.
            targets: of the B images.
            sizes, strides: of the levels, as for ``make_cells``.
        """
        matched = assign(logits, boxes, [target["boxes"] for target in targets], sizes, strides)
        positives = mean_positives(len(matched.cell), logits.device)

        goal = torch.zeros_like(logits)
        goal.view(-1)[matched.cell] = matched.iou
        weight = counted_cells(centres, targets).to(logits.dtype)
        weight.view(-1)[matched.cell] = 1.0
        if self.focal_power > 0:
            weight = weight * (goal - logits.detach().sigmoid()).abs() ** self.focal_power
        score = F.binary_cross_entropy_with_logits(logits, goal, weight=weight, reduction="sum")

        objects = torch.cat([target["boxes"] for target in targets])
        box_loss = BOX_LOSSES[self.box_loss](boxes.reshape(-1, 4)[matched.cell], objects[matched.object], "sum")
        return {"score": score / positives, "box": self.box_weight * box_loss / positives}


def counted_cells(centres: Tensor, targets: Sequence[Target]) -> Tensor:
    """Which of N cells may serve as background in each image: (B, N) bool, False inside regions to ignore."""
    counts = torch.tensor([len(target["ignore"]) for target in targets])
    regions = torch.cat([target["ignore"] for target in targets])  # (M, 4)
    image = torch.arange(len(targets)).repeat_interleave(counts).to(centres.device)  # (M,)
    inside = centres_inside(centres, regions)  # (M, N)
    hits = torch.zeros(len(targets), len(centres), device=centres.device)
    return hits.index_add_(0, image, inside.to(hits.dtype)) == 0
