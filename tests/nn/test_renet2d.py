"""ReNet2d against a twin in NumPy float64 that walks the grid patch by patch with GRU equations of its own."""

import numpy as np
import pytest
import torch
from rnnpool_twin import Cell, gru_step

from rnnpool.errors import InputError
from rnnpool.nn.renet import ReNet2d


def cell_of(gru: torch.nn.GRU, suffix: str) -> Cell:
    names = {"weight_input": "weight_ih_l0", "weight_hidden": "weight_hh_l0"}
    names |= {"bias_input": "bias_ih_l0", "bias_hidden": "bias_hh_l0"}
    return Cell(
        "gru", "smooth", {ours: getattr(gru, theirs + suffix).detach().numpy() for ours, theirs in names.items()}
    )


def sweep(gru: torch.nn.GRU, sequence: list[np.ndarray]) -> list[np.ndarray]:
    """Outputs of both directions at every position of one sequence, joined."""
    outputs = []
    for suffix, order in (("", 1), ("_reverse", -1)):
        cell, state, states = cell_of(gru, suffix), (np.zeros(gru.hidden_size),), []
        for x in sequence[::order]:
            state = gru_step(cell, x, state)
            states.append(state[0])
        outputs.append(states[::order])
    return [np.concatenate(pair) for pair in zip(*outputs, strict=True)]


def twin(layer: ReNet2d, image: np.ndarray) -> np.ndarray:
    """One image (C, H, W) -> (out, OH, OW)."""
    kh, kw = layer.kernel_size
    rows, columns = image.shape[1] // kh, image.shape[2] // kw
    grid = [
        [image[:, r * kh : (r + 1) * kh, c * kw : (c + 1) * kw].ravel() for c in range(columns)] for r in range(rows)
    ]
    by_column = [sweep(layer.vertical, [grid[r][c] for r in range(rows)]) for c in range(columns)]
    by_row = [sweep(layer.horizontal, [by_column[c][r] for c in range(columns)]) for r in range(rows)]
    return np.array(by_row).transpose(2, 0, 1)


@pytest.mark.parametrize(("kernel", "height", "width"), [(4, 12, 16), ((2, 3), 6, 12), ((3, 2), 10, 9), (1, 3, 2)])
def test_equals_the_twin(kernel: int | tuple[int, int], height: int, width: int) -> None:
    """Square and oblong patches, sizes that leave rows and columns over."""
    torch.manual_seed(0)
    layer = ReNet2d(3, 10, kernel).double()
    images = torch.randn(2, 3, height, width, dtype=torch.float64)
    expected = np.stack([twin(layer, image.numpy()) for image in images])
    np.testing.assert_allclose(layer(images).detach().numpy(), expected, rtol=0, atol=1e-13)


def test_channels_last_input_and_gradients() -> None:
    torch.manual_seed(1)
    layer = ReNet2d(2, 4, 2).double()
    images = torch.randn(2, 2, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(layer(images.to(memory_format=torch.channels_last)), layer(images), rtol=0, atol=0)
    assert torch.autograd.gradcheck(layer, images.requires_grad_())


def test_multiply_adds_match_the_paper() -> None:
    """MobileNetV2 at 112x112x32 -> 28x28x64 (paper, table 1): ReNet 0.296G; pooling and a 1x1 convolution 0.200G."""
    layer = ReNet2d(32, 64, 4)
    matrices = sum(p.numel() for name, p in layer.named_parameters() if name.split(".")[1].startswith("weight"))
    pooling = 28 * 28 * 32 * 64
    assert 28 * 28 * matrices - pooling == pytest.approx(0.096e9, rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((3, 7, 4), "out_channels is 7; it must be even"),
        ((0, 8, 4), "in_channels is 0; it must be at least 1"),
        ((3, 8, (4, 0)), r"kernel_size is \(4, 0\)"),
    ],
)
def test_bad_arguments(arguments: tuple, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ReNet2d(*arguments)


@pytest.mark.parametrize("shape", [(2, 4, 8, 8), (2, 3, 3, 8), (2, 3, 8, 3), (3, 8, 8)])
def test_bad_input(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        InputError, match=rf"shape \({', '.join(map(str, shape))}\); it must be \(B, 3, H, W\) with H >= 4"
    ):
        ReNet2d(3, 8, 4)(torch.zeros(shape))
