"""Which anchors answer for which object, as S3FD matches them (Zhang et al. 2017, section 3.2).

Stage one: an anchor whose best IoU reaches 0.35 belongs to that object. Stage two, the scale compensation: faces
between two anchor sizes and the smallest ones match few anchors so; each face with fewer than N of them, N being the
average of stage one, also takes its best anchors above 0.1 until it has N. And every object has at least its best
anchor, as in SSD.

The (objects x anchors) table of IoUs is looked at in blocks, and only pairs above 0.1 are kept, so that a crowd of a
thousand faces fits in memory.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from rnnpool.detection.assignment import paired_iou

THRESHOLD = 0.35  # of stage one
LOW_THRESHOLD = 0.1  # of stage two
_BLOCK = 2**21  # pairs whose IoU is held at once


class Match(NamedTuple):
    """P anchors in ascending order, each with its object."""

    anchor: Tensor  # (P,) int64, each at most once
    object: Tensor  # (P,) int64


class _Pairs(NamedTuple):
    """Q (object, anchor) pairs above LOW_THRESHOLD, and each object's best anchor."""

    object: Tensor  # (Q,) int64
    anchor: Tensor  # (Q,) int64
    iou: Tensor  # (Q,) float32
    best: Tensor  # (n,) int64


@torch.no_grad()
def match_anchors(anchors: Tensor, objects: Tensor) -> Match:
    """Match one image.

    Args:
        anchors: (N, 4) xyxy, N >= 1.
        objects: (n, 4) xyxy.
    """
    if not len(objects):
        none = torch.zeros(0, dtype=torch.int64, device=anchors.device)
        return Match(none, none)
    pairs = _close_pairs(anchors, objects)

    # Anchors sort their objects by IoU: the first of each run of equal anchors is its best.
    order = pairs.iou.argsort(descending=True, stable=True)
    order = order[pairs.anchor[order].argsort(stable=True)]
    run = pairs.anchor[order]
    first = torch.ones_like(run, dtype=torch.bool)
    first[1:] = run[1:] != run[:-1]
    own = order[first]  # one pair an anchor
    owner, anchor, iou = pairs.object[own], pairs.anchor[own], pairs.iou[own]

    matched = iou >= THRESHOLD
    counts = torch.bincount(owner[matched], minlength=len(objects))  # (n,)
    wanted = (counts.sum() / len(objects)).round().long()  # N of stage two
    # Each object's remaining anchors by IoU; those ranked before what it lacks are taken.
    rest = (~matched).nonzero().squeeze(1)
    rest = rest[iou[rest].argsort(descending=True, stable=True)]
    rest = rest[owner[rest].argsort(stable=True)]
    remaining = torch.bincount(owner[rest], minlength=len(objects))
    rank = torch.arange(len(rest), device=rest.device) - (remaining.cumsum(0) - remaining)[owner[rest]]
    matched[rest[rank < (wanted - counts)[owner[rest]]]] = True

    result = torch.full((len(anchors),), -1, dtype=torch.int64, device=anchors.device)
    result[anchor[matched]] = owner[matched]
    for number, best in enumerate(pairs.best.tolist()):  # in order: of two objects with one best anchor, the later
        result[best] = number
    chosen = (result >= 0).nonzero().squeeze(1)
    return Match(chosen, result[chosen])


def _close_pairs(anchors: Tensor, objects: Tensor) -> _Pairs:
    rows = max(1, _BLOCK // len(anchors))
    numbers, columns, ious, best = [], [], [], []
    for start in range(0, len(objects), rows):
        table = paired_iou(objects[start : start + rows, None], anchors)  # (rows, N)
        best.append(table.argmax(dim=1))
        row, column = (table > LOW_THRESHOLD).nonzero(as_tuple=True)
        numbers.append(row + start)
        columns.append(column)
        ious.append(table[row, column])
    return _Pairs(torch.cat(numbers), torch.cat(columns), torch.cat(ious), torch.cat(best))
