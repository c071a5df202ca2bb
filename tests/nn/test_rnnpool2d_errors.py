"""What RNNPool2d refuses: each message names the argument, its value, and what it may be."""

import numpy as np
import pytest
import torch

from rnnpool.errors import InputError
from rnnpool.nn import RNNPool2d

SIZES = {"in_channels": 3, "hidden1": 4, "hidden2": 5, "kernel_size": 4}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"in_channels": 0}, "in_channels is 0; it must be a positive integer"),
        ({"hidden1": -1}, "hidden1 is -1; it must be a positive integer"),
        ({"hidden2": 2.0}, r"hidden2 is 2\.0; it must be a positive integer"),
        ({"kernel_size": 0}, "kernel_size is 0; it must be an integer >= 1 or a pair of them"),
        ({"kernel_size": (3, 3, 3)}, r"kernel_size is \(3, 3, 3\); it must be an integer >= 1 or a pair"),
        ({"kernel_size": 2.5}, r"kernel_size is 2\.5"),
        ({"kernel_size": "44"}, "kernel_size is '44'"),
        ({"kernel_size": np.array([4, 4])}, r"kernel_size is array\(\[4, 4\]\); it must be an integer >= 1"),
        ({"stride": ()}, r"stride is \(\); it must be an integer >= 1"),
        ({"hidden1": np.array(2.0)}, r"hidden1 is array\(2\.\); it must be a positive integer"),
        ({"stride": (2, 0)}, r"stride is \(2, 0\); it must be an integer >= 1"),
        ({"padding": -1}, "padding is -1; it must be an integer >= 0"),
        ({"cell": "rnn"}, "cell is 'rnn'; it may be one of fastgrnn, gru, lstm"),
        ({"gates": "hard"}, "gates is 'hard'; it may be one of smooth, piecewise"),
        ({"init": "zeros"}, "init is 'zeros'; it may be one of reference, orthogonal"),
        ({"output_padding": 1}, "output_padding is 1; it may be one of none, replicate"),
        ({"cell": "gru", "gates": "piecewise"}, "gates, trainable_mix and init belong to FastGRNN; cell is 'gru'"),
        ({"cell": "lstm", "trainable_mix": True}, "belong to FastGRNN; cell is 'lstm'"),
    ],
)
def test_arguments(changed: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        RNNPool2d(**{**SIZES, **changed})


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(1, 2, 8, 8), r"input has shape \(1, 2, 8, 8\); it must be \(B, 3, H, W\)"),
        (torch.zeros(2, 8, 8), r"input has shape \(2, 8, 8\); it must be \(B, 3, H, W\) or without B"),
        (torch.zeros(8, 8), r"input has shape \(8, 8\); it must be \(B, 3, H, W\) or without B"),
        (torch.zeros(1, 3, 1, 8), "input height 1 with padding 1 is smaller than the kernel's 4"),
        (torch.zeros(1, 3, 8, 1), "input width 1 with padding 1 is smaller than the kernel's 4"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), r"input is torch\.uint8; it must be torch\.float32"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.float64), r"input is torch\.float64; it must be torch\.float32"),
    ],
)
def test_input(x: torch.Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        RNNPool2d(**SIZES, padding=1)(x)


def test_integers_are_refused_under_autocast_too() -> None:
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(InputError, match=r"input is torch\.int64"):
        RNNPool2d(**SIZES)(torch.zeros(1, 3, 8, 8, dtype=torch.int64))


def test_the_smallest_image_gives_one_patch() -> None:
    assert RNNPool2d(**SIZES)(torch.zeros(1, 3, 4, 4)).shape == (1, 20, 1, 1)
    assert RNNPool2d(**SIZES, padding=1)(torch.zeros(1, 3, 2, 2)).shape == (1, 20, 1, 1)


def test_integers_of_numpy_are_integers() -> None:
    layer = RNNPool2d(*np.array([3, 4, 5, 4]), stride=(np.int32(2), 3), padding=np.uint8(1))
    assert layer.extra_repr() == RNNPool2d(3, 4, 5, 4, (2, 3), 1).extra_repr()
    assert type(layer.out_channels) is int
