"""Learning rate of a run: linear warm-up, then half a cosine to a floor (Loshchilov & Hutter 2017, SGDR, eq. 5)."""

import math


def learning_rate_factor(step: int, total: int, warmup: float, floor: float) -> float:
    """The factor on the base rate at ``step`` (0..total-1).

    Args:
        warmup: share of the steps, 0..1, over which the factor rises linearly; the first step gets 1 / their number.
        floor: the factor that the cosine falls to, 0..1.
    """
    warmup_steps = round(warmup * total)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total - warmup_steps)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))
