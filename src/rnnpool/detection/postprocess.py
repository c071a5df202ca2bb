"""From decoded boxes and scores to a list of detections: threshold, best ones, non-maximum suppression."""

from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import nms

# S3FD (Zhang et al. 2017) sorts the best 5000 of an image before suppression; what is beyond never survives.
CANDIDATES = 5000


class Detections(NamedTuple):
    """The objects found in one image, best first."""

    boxes: Tensor  # (N, 4) float32 xyxy in input pixels
    scores: Tensor  # (N,) float32 in 0..1


def select_detections(
    boxes: Tensor, scores: Tensor, *, score_threshold: float, iou_threshold: float, max_detections: int
) -> list[Detections]:
    """Per image, keep scores of at least the threshold, then greedily the best box and drop what overlaps it.

    Args:
        boxes: (B, N, 4) xyxy.
        scores: (B, N) in 0..1.
        iou_threshold: a box that overlaps a better one by more than this is dropped.
        max_detections: the most that are returned an image.
    """
    return [
        _select(image_boxes.float(), image_scores.float(), score_threshold, iou_threshold, max_detections)
        for image_boxes, image_scores in zip(boxes, scores, strict=True)
    ]


def _select(boxes: Tensor, scores: Tensor, score_threshold: float, iou_threshold: float, limit: int) -> Detections:
    passing = torch.nonzero(scores >= score_threshold).squeeze(1)
    # A stable sort: equal scores keep the order of the cells, so that results do not depend on the machine.
    order = torch.sort(scores[passing], descending=True, stable=True).indices[:CANDIDATES]
    kept = passing[order]
    kept = kept[nms(boxes[kept], scores[kept], iou_threshold)[:limit]]
    return Detections(boxes[kept], scores[kept])
