"""Networks of random weights and their modules, compiled once for all tests of pages."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rnnpool.integer.convert import convert
from rnnpool.integer.detector import find_integer_head
from rnnpool.integer.network import IntNetwork
from rnnpool.target.toolchain import WASM_TOOLS, missing_tools
from rnnpool.web.module import Module, build_module
from rnnpool.web.page import write_page
from small_face import register_small_face, small_face_integers

CLASSES = '["cat", "<b>dog</b>", "no_pet"]'
SHAPE = (3, 32, 40)


def small_classifier() -> IntNetwork:
    """It takes RGB, and says what its classes are and how it sees images."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 3),
    ).eval()  # fmt: skip
    images = list(np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype(np.uint8))
    network = convert(net, SHAPE, images, name="pets", method="minmax").network
    network.metadata.update(classes=CLASSES, test_crop="0.8")
    return network


@pytest.fixture(scope="session")
def face_module() -> Module:
    """Of a detector."""
    _need_tools()
    with pytest.MonkeyPatch.context() as monkeypatch:
        register_small_face(monkeypatch)
        network = small_face_integers()
        return build_module(network, find_integer_head(network))


@pytest.fixture(scope="session")
def pets_module() -> Module:
    """Of a classifier."""
    _need_tools()
    return build_module(small_classifier(), None)


@pytest.fixture(scope="session")
def face_page(face_module: Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(face_module, tmp_path_factory.mktemp("face"))[0].parent


@pytest.fixture(scope="session")
def pets_page(pets_module: Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(pets_module, tmp_path_factory.mktemp("pets"))[0].parent


def _need_tools() -> None:
    if (missing := missing_tools(WASM_TOOLS)) is not None:
        pytest.skip(f"WebAssembly: {missing}")
