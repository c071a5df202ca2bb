"""From a detector's stored output rows to boxes, in integers: the head, the best cells, suppression and voting.

What ``detection.PointHead`` and ``detection.S3FDHead`` do in float, with the same meaning of every number. Positions
are in sixteenths of a pixel, scores in 1/32768, and both agree bit for bit with runtime/rnp_detect.c.

A cell's numbers go through one multiplication each (``arithmetic.requantise``): the score's margin and the sizes to
logarithms to the base 2 with 12 bits behind the point, the offsets to positions. 2^x comes from a table of 33 entries
with straight lines between, and the sigmoid from 2^x and one division. Only the best cells of an image are kept, so
that nothing about whole maps is stored; among them suppression is greedy, and a kept box becomes the mean of itself and
the dropped boxes that overlap it enough (the best 127 of them), weighted by their scores.

Measured on the 259 held-out images of WIDER FACE with face-tiny in int8, AP easy, medium and hard against float
decoding of the same outputs without a limit: -.0008, -.0014, -.0026 with 128 candidates (images of many faces lose;
those of at most 3 gain .002 to .006); with 96 -.003, -.009, -.007; with 128 and no voting -.010, -.010, -.005.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnpool.detection.point_head import LOG_SIZE_LIMIT, PointHead
from rnnpool.detection.s3fd_head import CENTRE_VARIANCE, SIZE_LIMIT, SIZE_VARIANCE, S3FDHead
from rnnpool.errors import InputError
from rnnpool.integer.arithmetic import Ints, requantise, saturate_i16, to_multiplier
from rnnpool.integer.network import ChannelScales, IntNetwork

POSITION = 16  # units a pixel
SCORE = 1 << 15  # the stored score of 1
LOG = 1 << 12  # of a logarithm to the base 2
INPUT = 1 << 8  # stored numbers are multiplied by this before the multiplier, so that ratios up to 128 fit
OVERLAP = 1 << 10  # of a threshold of overlap
LARGEST_SIDE = (1 << 15) // POSITION  # pixels of an image, and of a level's anchor
CANDIDATES = 128  # of an image of at most 128 * 600 pixels, which is 320x240; larger ones have as many more,
PIXELS_PER_CANDIDATE = 600
MOST_CANDIDATES = 512  # and no more than these
MOST_VOTERS = 127  # of a box, beside itself: what rnp_detect.c sums in 32 bits

_SEGMENTS = 32
# 2^(i / 32) - 1 with 15 bits behind the point.
POWERS: NDArray[np.uint16] = np.rint((2.0 ** (np.arange(_SEGMENTS + 1) / _SEGMENTS) - 1) * SCORE).astype(np.uint16)


@dataclass(frozen=True)
class IntLevel:
    """One output map, (scores + 4, h, w).

    Attributes:
        multipliers: of each channel, int32: the scores' and the sizes' to LOG, the offsets' to POSITION.
        scores: channels that tell the score: 1, or several of which the last counts against the largest of the others.
        stride: from cell to cell, in pixels.
        half: half the side of the box that log sizes of 0 mean, in units of POSITION.
        limit: log sizes are cut to -limit..limit, in units of LOG.
    """

    multipliers: NDArray[np.int32]
    scores: int
    stride: int
    half: int
    limit: int

    def decode(self, stored: NDArray[np.int16]) -> tuple[Ints, Ints]:
        """(scores + 4, h, w) -> scores (h w,), boxes (h w, 4) x1 y1 x2 y2; cells row by row."""
        _, height, width = stored.shape
        numbers = requantise(stored.astype(np.int64) * INPUT, self.multipliers[:, None, None])
        margin = numbers[self.scores - 1]
        if self.scores > 1:
            margin = margin - numbers[: self.scores - 1].max(axis=0)
        dx, dy, *logs = numbers[self.scores :]
        half_stride = self.stride * POSITION // 2
        centre_x = half_stride * (2 * np.arange(width) + 1) + dx
        centre_y = half_stride * (2 * np.arange(height)[:, None] + 1) + dy
        half_width, half_height = (power(np.clip(log, -self.limit, self.limit), self.half) for log in logs)
        sides = (centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height)
        return sigmoid(margin).reshape(-1), np.stack([saturate_i16(s).reshape(-1) for s in sides], 1).astype(np.int64)


@dataclass(frozen=True)
class IntHead:
    """Decoding of all outputs of a network, and the choice of its detections.

    Attributes:
        levels: one an output.
        iou: a box that overlaps a better one by more than this is dropped; in units of OVERLAP.
        vote: dropped boxes that overlap a kept one by this or more have a share in it; None: it stays as it is.
        candidates: the best cells of an image that are looked at, and so the most detections.
    """

    levels: tuple[IntLevel, ...]
    iou: int
    vote: int | None
    candidates: int

    def __post_init__(self) -> None:
        if not 1 <= self.candidates <= MOST_CANDIDATES:
            raise InputError(f"candidates is {self.candidates}; it may be 1..{MOST_CANDIDATES}")

    def detect(self, outputs: Sequence[NDArray[np.int16]], threshold: int = 0) -> NDArray[np.int64]:
        """Stored outputs of one image -> (n, 5) x1 y1 x2 y2 score, best first.

        Args:
            threshold: candidates that score less are dropped, 0..SCORE.
        """
        decoded = [level.decode(output) for level, output in zip(self.levels, outputs, strict=True)]
        scores = np.concatenate([scores for scores, _ in decoded])
        boxes = np.concatenate([boxes for _, boxes in decoded])
        best = np.argsort(-scores, kind="stable")[: self.candidates]  # of equal scores the first cell
        best = best[scores[best] >= threshold]
        return self._suppress(boxes[best], scores[best])

    def _suppress(self, boxes: Ints, scores: Ints) -> NDArray[np.int64]:
        """Candidates, best first -> detections."""
        dropped = np.zeros(len(boxes), bool)
        found = []
        for i, (box, score) in enumerate(zip(boxes, scores, strict=True)):
            if dropped[i]:
                continue
            shared, union = overlap(box, boxes)
            dropped[i + 1 :] |= (shared * OVERLAP > self.iou * union)[i + 1 :]
            if self.vote is not None:
                overlapping = dropped & (shared > 0) & (shared * OVERLAP >= self.vote * union)
                voters = np.append(np.flatnonzero(overlapping)[:MOST_VOTERS], i)
                weights = np.maximum(scores[voters] // 128, 1)
                shift = (weights[:, None] * (boxes[voters] - box)).sum(axis=0)
                box = box + (shift + weights.sum() // 2) // weights.sum()
            found.append([*box, score])
        return np.array(found, np.int64).reshape(-1, 5)


def power(log: Ints, unit: int) -> Ints:
    """unit * 2^(log / LOG), rounded; logs of -8..8, units below 2^15."""
    whole, mantissa = _power_of_fraction(log)
    shift = 15 - whole
    return (unit * mantissa + (1 << (shift - 1))) >> shift


def sigmoid(margin: Ints) -> Ints:
    """1 / (1 + 2^(-margin / LOG)) in units of SCORE."""
    whole, mantissa = _power_of_fraction(-np.abs(margin))
    other = (2 * mantissa) >> np.minimum(-whole, 31)  # 2^-|margin| with 16 bits behind the point
    larger = (1 << 31) // ((1 << 16) + other)
    return np.where(margin >= 0, larger, SCORE - larger)


def overlap(box: Ints, boxes: Ints) -> tuple[Ints, Ints]:
    """Areas that (4,) shares with each of (n, 4), and those of both together."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return shared, (box[2:] - box[:2]).prod() + areas - shared


def _power_of_fraction(log: Ints) -> tuple[Ints, Ints]:
    """log / LOG = whole + f -> whole, 2^f with 15 bits behind the point."""
    whole = log // LOG
    fraction = log - whole * LOG
    segment, rest = np.divmod(fraction, LOG // _SEGMENTS)
    low, high = POWERS[segment].astype(np.int64), POWERS[segment + 1].astype(np.int64)
    return whole, SCORE + low + (((high - low) * rest + LOG // _SEGMENTS // 2) >> 7)


def integer_head(head: PointHead | S3FDHead, network: IntNetwork, candidates: int | None = None) -> IntHead:
    """The integers of a detector's head, for the scales of its network's outputs.

    Args:
        candidates: see ``IntHead``; None: by the size of the image.

    Raises:
        InputError: a geometry beyond 1/16 pixel in 16 bits, or outputs whose scales do not fit.
    """
    _, height, width = network.image.shape
    if max(height, width) >= LARGEST_SIDE:
        raise InputError(f"{network.name} takes {width}x{height}; boxes reach to {LARGEST_SIDE - 1} pixels")
    levels = []
    for number, stride, (unit, shift, size, limit), scores in zip(
        network.outputs, head.strides, _geometry(head), head.scores_per_cell, strict=True
    ):
        scales = network.nodes[number].output
        assert isinstance(scales, ChannelScales)
        real = np.array([1 / math.log(2) * LOG] * scores + [shift * POSITION] * 2 + [size / math.log(2) * LOG] * 2)
        half = round(unit * POSITION / 2)
        if not 0 < half < LARGEST_SIDE * POSITION:
            raise InputError(f"a box of {unit:g} pixels; it may have up to {2 * LARGEST_SIDE - 1}")
        levels.append(
            IntLevel(to_multiplier(real * scales.scale / INPUT), scores, stride, half, round(limit / math.log(2) * LOG))
        )
    vote = head.default_vote_iou
    return IntHead(
        tuple(levels),
        round(head.default_iou_threshold * OVERLAP),
        None if vote is None else round(vote * OVERLAP),
        candidates_for(height * width) if candidates is None else candidates,
    )


def candidates_for(pixels: int) -> int:
    """How many cells of an image of so many pixels are looked at; each takes 12 bytes of a chip's RAM."""
    return min(max(pixels // PIXELS_PER_CANDIDATE, CANDIDATES), MOST_CANDIDATES)


def _geometry(head: PointHead | S3FDHead) -> list[tuple[float, float, float, float]]:
    """Of each level: the box of log size 0 in pixels, pixels an offset, log an offset of size, limit of the log."""
    if isinstance(head, PointHead):
        return [(stride, stride, 1.0, LOG_SIZE_LIMIT) for stride in head.strides]
    return [(side, CENTRE_VARIANCE * side, SIZE_VARIANCE, SIZE_VARIANCE * SIZE_LIMIT) for side in head.anchors]
