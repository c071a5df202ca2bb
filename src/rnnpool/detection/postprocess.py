"""From decoded boxes and scores to a list of detections: threshold, best ones, non-maximum suppression, voting."""

from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import nms

from rnnpool.detection.assignment import paired_iou

# S3FD (Zhang et al. 2017) sorts the best 5000 of an image before suppression; what is beyond never survives.
CANDIDATES = 5000


class Detections(NamedTuple):
    """The objects found in one image, best first."""

    boxes: Tensor  # (N, 4) float32 xyxy in input pixels
    scores: Tensor  # (N,) float32 in 0..1


class Selection(NamedTuple):
    """How the boxes of an image become its detections."""

    score_threshold: float  # boxes that score less are dropped first
    iou_threshold: float  # a box that overlaps a better one by more than this is dropped
    max_detections: int  # the most that are returned an image
    vote_iou: float | None  # a kept box becomes the mean of those that overlap it by this or more; None: stays as it is


def select_detections(boxes: Tensor, scores: Tensor, selection: Selection) -> list[Detections]:
    """Per image, keep scores of at least the threshold, then greedily the best box and drop what overlaps it.

    Args:
        boxes: (B, N, 4) xyxy.
        scores: (B, N) in 0..1.
    """
    return [
        _select(image_boxes.float(), image_scores.float(), selection)
        for image_boxes, image_scores in zip(boxes, scores, strict=True)
    ]


def _select(boxes: Tensor, scores: Tensor, selection: Selection) -> Detections:
    passing = torch.nonzero(scores >= selection.score_threshold).squeeze(1)
    # A stable sort: equal scores keep the order of the cells, so that results do not depend on the machine.
    order = torch.sort(scores[passing], descending=True, stable=True).indices[:CANDIDATES]
    boxes, scores = boxes[passing[order]], scores[passing[order]]
    kept = nms(boxes, scores, selection.iou_threshold)[: selection.max_detections]
    voted = boxes[kept] if selection.vote_iou is None else _vote(boxes, scores, kept, selection.vote_iou)
    return Detections(voted, scores[kept])


def _vote(boxes: Tensor, scores: Tensor, kept: Tensor, threshold: float) -> Tensor:
    """The kept boxes, each as the mean, weighted by score, of all boxes that overlap it (Gidaris and Komodakis 2015).

    Args:
        boxes: (n, 4) xyxy, of which ``kept`` (k,) are the rows that survived the suppression.
        scores: (n,).
    """
    if not len(kept):
        return boxes[kept]
    voters = paired_iou(boxes[kept, None], boxes) >= threshold  # (k, n)
    voters[torch.arange(len(kept), device=kept.device), kept] = True  # itself, even if it is empty
    weights = voters * scores.clamp(min=torch.finfo(scores.dtype).tiny)
    return (weights / weights.sum(dim=1, keepdim=True)) @ boxes
