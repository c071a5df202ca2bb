"""Average precision as the WIDER FACE evaluation tools compute it (S. Yang, P. Luo, C. C. Loy, X. Tang, CVPR 2016).

What ``eval_tools`` (MATLAB: norm_score, evaluation, boxoverlap, VOCap) and its common Python port do, step by step:

1. Scores are mapped linearly so that the smallest of the whole set becomes 0 and the largest 1.
2. In each image, best score first, every detection takes the annotated face that it overlaps most (of equals the
   first), whatever other detections took, if their IoU is at least 0.5. The IoU counts pixels with the edges included:
   an interval from a to b is b - a + 1 long.
3. A level (easy, medium, hard) counts some of the faces. A detection that took a face that is not counted is neither
   right nor wrong. The first one that took a counted face finds it. All others are false: repeats, and those that took
   none.
4. At each of the 1000 thresholds 0.999, 0.998, ..., 0: precision = faces found / detections that are not ignored,
   recall = faces found / faces counted.
5. The average precision is the area under the precision envelope (PASCAL VOC 2010).

Two facts worth knowing: detections in an image without any annotated face are not looked at at all, and matching is not
one-to-one, so that a detection near two faces never finds its second choice.

Here all images are evaluated at once: matching is done once for all levels, and a level costs two histograms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rnnpool.errors import InputError

IOU = 0.5
THRESHOLDS = 1.0 - np.arange(1, 1001) / 1000.0  # (1000,) descending, as the tools compute them


@dataclass(frozen=True)
class Matches:
    """The looked-at detections of a set of images, best score first.

    Attributes:
        score: float64 (P,), normalised to 0..1 over the set.
        face: int64 (P,), the face that the detection took, numbered through all images; -1: none.
        faces: how many faces there are.
    """

    score: np.ndarray
    face: np.ndarray
    faces: int


@dataclass(frozen=True)
class Curve:
    """Precision and recall at the 1000 thresholds.

    Attributes:
        precision, recall: float64 (1000,); a precision of no detections is 0, the recall of no faces NaN.
        faces: counted faces.
    """

    precision: np.ndarray
    recall: np.ndarray
    faces: int

    @cached_property
    def average_precision(self) -> float:
        """Area under the precision envelope; NaN where no face is counted."""
        if self.faces == 0:
            return float("nan")
        recall = np.concatenate([[0.0], self.recall, [1.0]])
        precision = np.concatenate([self.precision, [0.0]])
        envelope = np.maximum.accumulate(precision[::-1])[::-1]  # the best precision at this recall or a higher one
        return float(np.sum(np.diff(recall) * envelope))


def match(detections: Sequence[np.ndarray], faces: Sequence[np.ndarray]) -> Matches:
    """Steps 1 and 2.

    Args:
        detections: per image (n, 5), x y w h score, in any order.
        faces: per image (m, 4), x y w h.

    Raises:
        InputError: another shape, a value that is not finite, or lists of different lengths.
    """
    if len(detections) != len(faces):
        raise InputError(f"detections of {len(detections)} images, faces of {len(faces)}; expected as many")
    scores, taken = [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
    first = 0
    lowest, highest = np.inf, -np.inf
    for i, (found, annotated) in enumerate(zip(detections, faces, strict=True)):
        found, annotated = _checked(found, 5, f"detections of image {i}"), _checked(annotated, 4, f"faces of image {i}")
        if len(found):
            lowest, highest = min(lowest, found[:, 4].min()), max(highest, found[:, 4].max())
        if len(found) and len(annotated):
            overlap = overlaps(found[:, :4], annotated)  # (n, m)
            best = overlap.argmax(axis=1)
            is_match = overlap[np.arange(len(found)), best] >= IOU
            scores.append(found[:, 4])
            taken.append(np.where(is_match, first + best, -1))
        first += len(annotated)
    score, face = np.concatenate(scores), np.concatenate(taken)
    order = np.argsort(-score, kind="stable")  # equal scores of an image keep their order
    spread = highest - lowest
    # Where all scores are equal the tools divide 0 by 0; the best score is 1 here too.
    normalised = (score[order] - lowest) / spread if spread > 0 else np.ones(len(score))
    return Matches(normalised, face[order], first)


def precision_recall(matches: Matches, counted: np.ndarray) -> Curve:
    """Steps 3 and 4; ``counted`` is bool (faces,), the faces of all images in order."""
    if counted.shape != (matches.faces,) or counted.dtype != bool:
        raise InputError(f"counted is {counted.dtype} {counted.shape}; expected bool ({matches.faces},)")
    has_face = matches.face >= 0
    takes_counted = np.zeros(len(matches.face), dtype=bool)
    takes_counted[has_face] = counted[matches.face[has_face]]
    # The first threshold that the score reaches.
    bins = np.searchsorted(-THRESHOLDS, -matches.score, side="left")
    judged = bins[~has_face | takes_counted]
    of_counted = np.flatnonzero(takes_counted)
    finders = of_counted[np.unique(matches.face[of_counted], return_index=True)[1]]

    proposals = np.bincount(judged, minlength=len(THRESHOLDS)).cumsum()
    found = np.bincount(bins[finders], minlength=len(THRESHOLDS)).cumsum()
    faces = int(counted.sum())
    recall = found / faces if faces else np.full(len(THRESHOLDS), np.nan)
    return Curve(found / np.maximum(proposals, 1), recall, faces)


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU with edges included of (n, 4) and (m, 4) boxes x y w h -> (n, m)."""
    size, other_size = boxes[:, None, 2:] + 1.0, others[None, :, 2:] + 1.0
    start = np.maximum(boxes[:, None, :2], others[None, :, :2])
    end = np.minimum(boxes[:, None, :2] + boxes[:, None, 2:], others[None, :, :2] + others[None, :, 2:])
    shared = (end - start + 1.0).clip(min=0.0).prod(axis=2)
    return shared / (size.prod(axis=2) + other_size.prod(axis=2) - shared)


def _checked(rows: np.ndarray, columns: int, name: str) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != columns:
        raise InputError(f"{name} have shape {rows.shape}; expected (n, {columns})")
    if not np.isfinite(rows).all():
        raise InputError(f"{name} hold a value that is not finite")
    return rows
