"""WIDER FACE's evaluation written from its definition, one image, detection and threshold at a time."""

import math


def average_precision(images, levels_counted):
    """Average precision of one level.

    Args:
        images: list of (detections, faces): lists of (x, y, w, h, score) and of (x, y, w, h).
        levels_counted: for each image the set of the numbers of the faces that count.
    """
    curve = precision_recall(images, levels_counted)
    return area(curve) if curve is not None else math.nan


def precision_recall(images, levels_counted):
    """1000 pairs (precision or None, recall); None where no face counts."""
    faces_counted = sum(len(counted) for counted in levels_counted)
    if faces_counted == 0:
        return None
    scores = [detection[4] for detections, _ in images for detection in detections]
    low, high = min(scores, default=0), max(scores, default=0)
    judged = []
    for (detections, faces), counted in zip(images, levels_counted, strict=True):
        if detections and faces:
            ranked = sorted(detections, key=lambda d: -d[4])  # stable
            normalised = [(d[4] - low) / (high - low) if high > low else 1.0 for d in ranked]
            judged.append((normalised, *judge(ranked, faces, counted)))
    curve = []
    for t in range(1, 1001):
        threshold = 1 - t / 1000
        proposals = found = 0
        for normalised, is_proposal, found_so_far in judged:
            last = max((i for i, score in enumerate(normalised) if score >= threshold), default=None)
            if last is not None:
                proposals += sum(is_proposal[: last + 1])
                found += found_so_far[last]
        curve.append((found / proposals if proposals else None, found / faces_counted))
    return curve


def judge(ranked, faces, counted):
    """For each detection whether it is a proposal, and how many counted faces are found up to it."""
    found = set()
    is_proposal, found_so_far = [], []
    for detection in ranked:
        overlaps = [overlap(detection, face) for face in faces]
        best = overlaps.index(max(overlaps))
        proposal = True
        if overlaps[best] >= 0.5:
            if best in counted:
                found.add(best)
            else:
                proposal = False
        is_proposal.append(proposal)
        found_so_far.append(len(found))
    return is_proposal, found_so_far


def overlap(a, b):
    """IoU of pixels, the last one of each box included."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]) + 1
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] + 1) * (a[3] + 1) + (b[2] + 1) * (b[3] + 1) - shared)


def area(curve):
    """Steps of recall times the best precision from there on."""
    total, before = 0.0, 0.0
    for i, (_, recall) in enumerate(curve):
        if recall > before:
            total += (recall - before) * max(p for p, _ in curve[i:] if p is not None)
            before = recall
    return total
