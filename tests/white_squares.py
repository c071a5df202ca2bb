"""A detector whose answers are known without training: it finds white squares."""

import math

import numpy as np
from torch import nn

from rnnpool.detection import PointHead
from rnnpool.models import Detector, ModelInfo

STRIDE = 32

# White is 255, which is 127/128 after normalisation.
WHITE_SCORE = 1 / (1 + math.exp(-(12 * 127 / 128 - 6)))


def build_bright_square(in_channels: int = 1) -> Detector:
    """For 320x240 input. A cell of 32x32 pixels is a face of that size if it is all white, with score sigmoid(6);
    a grey one scores sigmoid(-6), and a white square that is off the grid of cells is missed."""
    predictor = nn.Conv2d(in_channels, 5, 1)
    nn.init.zeros_(predictor.weight)
    nn.init.zeros_(predictor.bias)  # a box of 1 x 1 stride at the centre of its cell
    nn.init.constant_(predictor.weight[:1], 12.0 / in_channels)
    nn.init.constant_(predictor.bias[:1], -6.0)
    stage = nn.AvgPool2d(STRIDE)
    return Detector("bright-square", in_channels, (240, 320), [stage], None, [predictor], PointHead((STRIDE,)))


def square_photo(width: int = 640, height: int = 480, x: int = 192, y: int = 128, side: int = 64) -> np.ndarray:
    """uint8 (H, W): a white square on black. By default it is one cell of ``bright_square`` after resizing."""
    pixels = np.zeros((height, width), dtype=np.uint8)
    pixels[y : y + side, x : x + side] = 255
    return pixels


BRIGHT_SQUARE = ModelInfo("bright-square", "finds white squares", "detection", (1, 240, 320), build_bright_square)
