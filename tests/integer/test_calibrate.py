"""Ranges against brute force."""

import numpy as np
import pytest
import torch

from rnnpool.integer.calibrate import METHODS, Statistics, least_squares, percentile
from rnnpool.integer.tensors import Quantisation


def statistics_of(values: np.ndarray) -> Statistics:
    """Of one channel, seen in three parts."""
    found = Statistics()
    parts = [torch.from_numpy(part).float().reshape(1, 1, 1, -1) for part in np.array_split(values, 3)]
    for part in parts:
        found.widen(part)
    for part in parts:
        found.count(part)
    return found


def square_error(values: np.ndarray, low: float, high: float) -> float:
    quantisation = Quantisation.of_range(low, high)
    return float(((quantisation.dequantise(quantisation.quantise(values)) - values) ** 2).mean())


@pytest.mark.parametrize("kind", ["normal", "relu", "outliers", "uniform", "negative"])
def test_least_squares_is_close_to_the_best_range(kind: str) -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(size=30_000)
    if kind == "relu":
        values = np.maximum(values, 0)
    elif kind == "outliers":
        values[:20] *= 30
    elif kind == "uniform":
        values = generator.uniform(-1, 3, 30_000)
    elif kind == "negative":
        values = -np.abs(values) - 0.5
    chosen = least_squares(statistics_of(values))
    lows = [min(values.min(), 0) * f for f in np.linspace(0.05, 1, 40)] if values.min() < 0 else [0.0]
    highs = [max(values.max(), 0) * f for f in np.linspace(0.05, 1, 40)] if values.max() > 0 else [0.0]
    best = min(square_error(values, low, high) for low in lows for high in highs)
    assert square_error(values, *chosen) <= 1.15 * best
    if kind == "outliers":
        assert square_error(values, *chosen) < square_error(values, values.min(), values.max())


def test_percentiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(2).normal(size=60_000)
    low, high = percentile(0.99)(statistics_of(values))
    width = (values.max() - values.min()) / 2048
    np.testing.assert_allclose([low, high], np.quantile(values, [0.005, 0.995]), atol=2 * width)


@pytest.mark.parametrize("method", METHODS)
def test_constants_and_ends(method: str) -> None:
    assert METHODS[method](statistics_of(np.full(30, 2.5))) in ((2.5, 2.5), (0.0, 2.5))
    low, high = METHODS[method](statistics_of(np.linspace(-1, 1, 3001)))
    assert -1.001 <= low < -0.98
    assert 0.98 < high <= 1.001
