"""The anchor-based head of S3FD: one square anchor a cell, background against face, offsets from the anchor.

S3FD: Zhang et al., "Single Shot Scale-invariant Face Detector", ICCV 2017; its box code and its choice of negatives are
those of SSD (Liu et al. 2016). A cell whose anchor of side a is centred at (x, y) and that predicts (dx, dy, lw, lh)
means the box centred at (x + 0.1 a dx, y + 0.1 a dy) of a exp(0.2 lw) by a exp(0.2 lh) input pixels.

Max-out background (section 3.3 there): at the first level, whose many small anchors raise most false alarms, the
background has three scores, of which the largest counts.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnpool.detection.cells import flatten_levels, make_cells, map_sizes
from rnnpool.detection.matching import match_anchors
from rnnpool.detection.positives import mean_positives
from rnnpool.detection.quality_loss import QualityLoss, counted_cells
from rnnpool.detection.targets import Target
from rnnpool.errors import InputError

CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
# 0.2 * 20: sizes from 1/55 of the anchor to 55 times it. Bounds the gradient, and the range of the integer form.
SIZE_LIMIT = 20.0
NEGATIVES_PER_POSITIVE = 3
TRAININGS = ("dynamic", "s3fd")


class S3FDHead:
    """Decoding and loss of maps (B, scores + 4, h, w): background scores, the face score, dx, dy, lw, lh.

    Args:
        strides: of the levels, in input pixels.
        anchors: side of each level's anchor, in input pixels.
        scores_per_cell: of each level, 2 or, with max-out background, more.
        training: "s3fd" is the published loss: anchors matched by IoU, cross-entropy with three hard negatives for each
            positive, smooth L1 of the offsets. "dynamic" is the loss of face-tiny: anchors are assigned by what they
            predict, the score learns the box's IoU, boxes learn by GIoU (``QualityLoss``). What a network predicts
            means the same either way; the boxes found with "dynamic" also vote (``Selection``).
        box_loss, box_weight, focal_power: of the dynamic loss; see ``QualityLoss``.

    Raises:
        InputError: lists of different lengths, or an unknown ``training``.
    """

    def __init__(
        self,
        strides: Sequence[int],
        anchors: Sequence[float],
        scores_per_cell: Sequence[int],
        *,
        training: str = "dynamic",
        box_loss: str = "giou",
        box_weight: float = 2.0,
        focal_power: float = 0.0,
    ) -> None:
        if not len(strides) == len(anchors) == len(scores_per_cell):
            lengths = f"{len(strides)}, {len(anchors)} and {len(scores_per_cell)}"
            raise InputError(f"strides, anchors and scores_per_cell have {lengths} entries; each has one a level")
        if training not in TRAININGS:
            raise InputError(f"training is {training!r}; it may be one of {', '.join(TRAININGS)}")
        self.strides, self.anchors = tuple(strides), tuple(anchors)
        self.scores_per_cell = tuple(scores_per_cell)
        self.training = training
        # As published, 0.3 without voting. With it, measured on 259 validation images, 0.4 and 0.4 give face-quant .004
        # more than 0.3 and 0.5 at every level, face-m4 .001. See PointHead for what voting is worth.
        self.default_iou_threshold = 0.3 if training == "s3fd" else 0.4
        self.default_vote_iou = None if training == "s3fd" else 0.4
        self.quality_loss = QualityLoss(box_loss, box_weight, focal_power)

    def decode(self, outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Maps -> boxes (B, N, 4) xyxy in input pixels, scores (B, N) in 0..1."""
        logits, offsets = self._split(outputs)
        return decode_offsets(offsets, self._anchor_boxes(outputs)), logits.sigmoid()

    def loss(self, outputs: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Terms "score" and "box", each a scalar divided by the positives of the batch (at least 1)."""
        logits, offsets = (part.float() for part in self._split(outputs))
        anchors = self._anchor_boxes(outputs)  # (N, 4)
        centres = (anchors[:, :2] + anchors[:, 2:]) / 2
        if self.training == "s3fd":
            return _published_loss(logits, offsets, anchors, centres, targets)
        boxes = decode_offsets(offsets, anchors)
        return self.quality_loss(logits, boxes, centres, targets, map_sizes(outputs), self.strides)

    def _split(self, outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Face against background (B, N), whose sigmoid is the softmax's probability of a face; offsets (B, N, 4)."""
        margins = []
        for output, scores in zip(outputs, self.scores_per_cell, strict=True):
            background = output[:, : scores - 1].amax(dim=1, keepdim=True)  # (B, 1, h, w)
            margins.append(output[:, scores - 1 : scores] - background)
        offsets = [output[:, -4:] for output in outputs]
        return flatten_levels(margins).squeeze(2), flatten_levels(offsets)

    def _anchor_boxes(self, outputs: Sequence[Tensor]) -> Tensor:
        return make_anchors(map_sizes(outputs), self.strides, self.anchors, outputs[0].device)


def make_anchors(
    sizes: Sequence[tuple[int, int]], strides: Sequence[int], anchors: Sequence[float], device: torch.device
) -> Tensor:
    """A square at each cell's centre, (N, 4) xyxy in input pixels, in the order of ``make_cells``."""
    centres = make_cells(sizes, strides, device).centres  # (N, 2)
    cells = torch.tensor([height * width for height, width in sizes], device=device)
    sides = torch.tensor(anchors, dtype=torch.float32, device=device).repeat_interleave(cells)  # (N,)
    half = sides[:, None] / 2
    return torch.cat((centres - half, centres + half), dim=1)


def decode_offsets(offsets: Tensor, anchors: Tensor) -> Tensor:
    """(..., N, 4) dx, dy, lw, lh from (N, 4) anchors -> (..., N, 4) xyxy in input pixels."""
    centre, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    centre = centre + CENTRE_VARIANCE * size * offsets[..., :2]
    half = 0.5 * size * (SIZE_VARIANCE * offsets[..., 2:].clamp(-SIZE_LIMIT, SIZE_LIMIT)).exp()
    return torch.cat((centre - half, centre + half), dim=-1)


def encode_offsets(boxes: Tensor, anchors: Tensor) -> Tensor:
    """The inverse of ``decode_offsets``; sizes below 1/1000 pixel count as that."""
    centre, size = (anchors[..., :2] + anchors[..., 2:]) / 2, anchors[..., 2:] - anchors[..., :2]
    shift = ((boxes[..., :2] + boxes[..., 2:]) / 2 - centre) / (CENTRE_VARIANCE * size)
    scale = ((boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3) / size).log() / SIZE_VARIANCE
    return torch.cat((shift, scale), dim=-1)


def _published_loss(
    logits: Tensor, offsets: Tensor, anchors: Tensor, centres: Tensor, targets: Sequence[Target]
) -> dict[str, Tensor]:
    """Cross-entropy and smooth L1 of (B, N) logits and (B, N, 4) offsets.

    The three negatives a positive are the hardest of the whole batch (of this process). SSD's code takes them image
    by image, so that an image without a face teaches nothing; here such images do.
    """
    positive = torch.zeros_like(logits, dtype=torch.bool)
    wanted = torch.zeros_like(offsets)
    for image, target in enumerate(targets):
        match = match_anchors(anchors, target["boxes"])
        positive[image, match.anchor] = True
        wanted[image, match.anchor] = encode_offsets(target["boxes"][match.object], anchors[match.anchor])
    count = int(positive.sum())
    mean_count = mean_positives(count, logits.device)

    # Cross-entropy of two classes is the logistic loss of their margin.
    loss_if_background = F.softplus(logits)
    candidates = loss_if_background.masked_fill(positive | ~counted_cells(centres, targets), 0.0).flatten()
    hardest = candidates.topk(min(NEGATIVES_PER_POSITIVE * max(1, count), candidates.numel())).values
    score = F.softplus(-logits[positive]).sum() + hardest.sum()
    box = F.smooth_l1_loss(offsets[positive], wanted[positive], reduction="sum")
    return {"score": score / mean_count, "box": box / mean_count}
