"""A registered detector that is compiled in a second: integers of random weights, and noise that it finds boxes in."""

import numpy as np
import pytest
import torch
from torch import nn

from rnnpool.detection import PointHead
from rnnpool.integer.convert import convert
from rnnpool.integer.network import IntNetwork
from rnnpool.models import Detector, ModelInfo, create_model, registry

NAME = "small-face"


def build_small_face() -> Detector:
    def stage(channels_in: int, channels_out: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(channels_in, channels_out, 3, 2, 1), nn.ReLU())

    predictors = [nn.Conv2d(8, 5, 1), nn.Conv2d(8, 5, 1)]
    stages = [nn.Sequential(stage(1, 4), stage(4, 8), stage(8, 8)), stage(8, 8)]
    return Detector(NAME, 1, (48, 64), stages, None, predictors, PointHead((8, 16)))


def register_small_face(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = ModelInfo(NAME, "for tests", "detection", (1, 48, 64), build_small_face)
    monkeypatch.setitem(registry._REGISTRY, NAME, entry)


def small_face_integers(seed: int = 5) -> IntNetwork:
    """Of the registered network; another seed is another network."""
    torch.manual_seed(seed)
    return convert(create_model(NAME), (1, 48, 64), noise(4), name=NAME, method="minmax").network


def noise(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """uint8 (1, height, width); the same for the same numbers."""
    return list(np.random.default_rng(count).integers(0, 256, (count, 1, height, width)).astype(np.uint8))
