"""Random numbers that are a pure function of (seed, epoch, sample), for whole batches at once.

Building a generator for every sample costs more than augmenting a small image. Here each number is a hash of its own
place, SplitMix64's finaliser (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"), so that a
batch of them is a few numpy operations, in any order, in any process.
"""

import numpy as np

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def uniforms(seed: int, epochs: np.ndarray, samples: np.ndarray, count: int) -> np.ndarray:
    """float64 (B, count) in [0, 1): ``count`` numbers for each pair of ``epochs`` and ``samples``, both int (B,)."""
    with np.errstate(over="ignore"):
        state = _mix(np.array([seed], dtype=np.uint64) + _GAMMA)  # (1,)
        state = _mix(state ^ epochs.astype(np.uint64)) + _GAMMA
        state = _mix(state ^ samples.astype(np.uint64))  # (B,)
        places = _GAMMA * np.arange(1, count + 1, dtype=np.uint64)  # (count,)
        return (_mix(state[:, None] + places) >> np.uint64(11)) * 2.0**-53


def _mix(z: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: every bit of the result depends on every bit of ``z``."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
