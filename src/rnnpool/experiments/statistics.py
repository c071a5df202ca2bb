"""Means over seeds with confidence intervals, and differences between rows, seed by seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean of ``count`` values and half the width of its confidence interval; None of one value."""

    mean: float
    half_width: float | None
    count: int

    def __str__(self) -> str:
        """In percent."""
        if self.half_width is None:
            return f"{100 * self.mean:.2f}"
        return f"{100 * self.mean:.2f} ± {100 * self.half_width:.2f}"


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean and Student's interval; None of no values. The interval is of the mean over seeds, not over images."""
    from scipy.stats import t

    count = len(values)
    if count == 0:
        return None
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean, None, 1)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    return Estimate(mean, float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * deviation / math.sqrt(count), count)


def paired_difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate | None:
    """Of the values by seed, over the seeds that both have: what the seed does to both cancels out."""
    return estimate([ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())])
