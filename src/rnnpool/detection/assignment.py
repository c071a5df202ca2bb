"""Which cells answer for which object: dynamic-k assignment after SimOTA (YOLOX, Ge et al. 2021, section 2.2).

Every object considers the cells within 2.5 strides of its centre, on every level (5 x 5 cells each). A pair costs the
binary cross-entropy of the score, three times -log IoU of the box predicted now, and a penalty that puts cells inside
the object before all others. The object takes its k cheapest cells, k being the sum of its ten best IoUs, at least 1;
a cell wanted by several objects goes to the cheapest. An object too small to hold any cell's centre still has its
candidates (all of them penalised), so nothing is lost for being a few pixels wide.

YOLOX builds the whole (objects x cells) matrix. The candidates are a fixed window, so here they are enumerated: work
and memory are proportional to objects * 25 * levels, for all images of a batch at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

RADIUS = 2  # cells on either side of the object's own: centres within 2.5 strides
BEST_IOUS = 10
IOU_WEIGHT = 3.0
OUTSIDE = 100.0  # more than the other two terms together (55 + a logit), so that it orders; no more, for precision


class Assignment(NamedTuple):
    """P positive pairs in the order of their cells; ``cell`` indexes images * N + cell."""

    cell: Tensor  # (P,) int64, each at most once
    object: Tensor  # (P,) int64, row in the concatenated boxes
    iou: Tensor  # (P,) float32 of the predicted box with its object


def candidate_cells(
    boxes: Tensor, sizes: Sequence[tuple[int, int]], strides: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """The cells near each object's centre.

    Args:
        boxes: (T, 4) xyxy objects.

    Returns:
        cell numbers within an image (T, M) int64 with M = 25 * levels; whether the cell exists (T, M);
        whether its centre lies inside the object (T, M).
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2  # (T, 2)
    reach = torch.arange(-RADIUS, RADIUS + 1, device=boxes.device)
    dy, dx = (offset.reshape(-1) for offset in torch.meshgrid(reach, reach, indexing="ij"))  # (25,)
    numbers, exists, inside = [], [], []
    first = 0
    for (height, width), stride in zip(sizes, strides, strict=True):
        column = (centre[:, :1] / stride).floor().long() + dx  # (T, 25)
        row = (centre[:, 1:] / stride).floor().long() + dy
        x, y = (column + 0.5) * stride, (row + 0.5) * stride
        exists.append((column >= 0) & (column < width) & (row >= 0) & (row < height))
        inside.append((x >= boxes[:, :1]) & (x < boxes[:, 2:3]) & (y >= boxes[:, 1:2]) & (y < boxes[:, 3:]))
        numbers.append(first + row.clamp(0, height - 1) * width + column.clamp(0, width - 1))
        first += height * width
    return torch.cat(numbers, 1), torch.cat(exists, 1), torch.cat(inside, 1)


def paired_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """IoU of broadcast pairs, (..., 4) xyxy each -> (...)."""
    corner = torch.minimum(boxes[..., 2:], others[..., 2:]) - torch.maximum(boxes[..., :2], others[..., :2])
    overlap = corner.clamp(min=0).prod(-1)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(-1) + (others[..., 2:] - others[..., :2]).prod(-1)
    return overlap / (areas - overlap).clamp(min=1e-9)


@torch.no_grad()
def assign(
    logits: Tensor,
    predicted: Tensor,
    boxes: Sequence[Tensor],
    sizes: Sequence[tuple[int, int]],
    strides: Sequence[int],
) -> Assignment:
    """Match the objects of a batch to cells.

    Args:
        logits: (B, N) scores before the sigmoid.
        predicted: (B, N, 4) xyxy boxes predicted now, in input pixels.
        boxes: for each image (n, 4) xyxy objects.
        sizes, strides: of the levels, as for ``make_cells``.
    """
    cells = logits.shape[1]
    objects = torch.cat(list(boxes))  # (T, 4)
    counts = torch.tensor([len(each) for each in boxes], device=objects.device)
    image = torch.repeat_interleave(torch.arange(len(boxes), device=objects.device), counts)  # (T,)
    number, exists, inside = candidate_cells(objects, sizes, strides)  # (T, M) each
    cell = image[:, None] * cells + number  # (T, M) in 0..B*N

    iou = paired_iou(predicted.float().reshape(-1, 4)[cell], objects[:, None]).masked_fill(~exists, 0.0)  # (T, M)
    logit = logits.float().reshape(-1)[cell]
    cost = F.softplus(-logit) - IOU_WEIGHT * torch.log(iou + 1e-8) + OUTSIDE * (~inside)
    cost = torch.nan_to_num(cost, nan=torch.inf).masked_fill(~exists, torch.inf)

    wanted = iou.topk(min(BEST_IOUS, iou.shape[1]), dim=1).values.nan_to_num(0).sum(1).long().clamp(min=1)  # (T,)
    ascending = cost.topk(min(BEST_IOUS, cost.shape[1]), dim=1, largest=False)  # k never exceeds BEST_IOUS
    chosen = torch.arange(ascending.values.shape[1], device=cost.device) < wanted[:, None]
    chosen &= ascending.values.isfinite()
    pair_object, rank = chosen.nonzero(as_tuple=True)  # (Q,) pairs before conflicts
    slot = ascending.indices[pair_object, rank]
    pair_cell, pair_cost = cell[pair_object, slot], ascending.values[pair_object, rank]

    # Conflicts: sort by cost, then (stably) by cell; the first of each run of equal cells wins.
    order = pair_cost.argsort(stable=True)
    order = order[pair_cell[order].argsort(stable=True)]
    run = pair_cell[order]
    first = torch.ones_like(run, dtype=torch.bool)
    first[1:] = run[1:] != run[:-1]
    winner = order[first]
    return Assignment(pair_cell[winner], pair_object[winner], iou[pair_object[winner], slot[winner]])
