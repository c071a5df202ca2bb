"""The anchor-free head: its box code and its loss on cases computed by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.detection import PointHead
from rnnpool.detection.cells import make_cells
from rnnpool.detection.point_head import decode_points, encode_points

NOTHING = torch.zeros(0, 4)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_decode_by_hand():
    """The second cell of stride 8: centre (12, 4) + 8 * (0.5, -0.25), sides 8 * (e^1, e^0)."""
    output = torch.zeros(1, 5, 1, 2)
    output[0, :, 0, 1] = torch.tensor([0.3, 0.5, -0.25, 1.0, 0.0])
    boxes, scores = PointHead((8,)).decode([output])
    half = 4 * math.e
    assert boxes[0, 1].tolist() == pytest.approx([16 - half, -2.0, 16 + half, 6.0], rel=1e-6)
    assert scores[0].tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-0.3))], rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), height=st.integers(1, 5), width=st.integers(1, 5))
def test_encode_inverts_decode(seed, height, width):
    cells = make_cells([(height, width)], (16,), torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(height * width, 4, generator=generator).clamp(-3.9, 3.9)
    assert torch.allclose(encode_points(decode_points(numbers, cells), cells), numbers, atol=2e-3)


def test_loss_by_hand():
    """A face at one of two cells; the box loss is 2 * (1 - GIoU), the score learns the IoU."""
    output = torch.zeros(1, 5, 1, 2)
    output[0, 0, 0] = torch.tensor([-0.5, 0.2])
    face = torch.tensor([[0.0, 0.0, 16.0, 24.0]])  # the first cell predicts 0..16 on both axes
    loss = PointHead((16,)).loss([output], [{"boxes": face, "ignore": NOTHING}])
    iou = 16 / 24
    expected = iou * softplus(0.5) + (1 - iou) * softplus(-0.5) + softplus(0.2)
    assert loss["score"].item() == pytest.approx(expected, rel=1e-5)
    assert loss["box"].item() == pytest.approx(2 * (1 - iou), rel=1e-5)


def test_focal_power_weights_each_cell_by_its_error():
    output = torch.zeros(1, 5, 1, 1)
    output[0, 0] = 1.5
    loss = PointHead((16,), focal_power=2.0).loss([output], [{"boxes": NOTHING, "ignore": NOTHING}])
    assert loss["score"].item() == pytest.approx(softplus(1.5) / (1 + math.exp(-1.5)) ** 2, rel=1e-5)


def test_an_image_that_is_ignored_whole_teaches_nothing():
    output = torch.randn(1, 5, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    everything = torch.tensor([[0.0, 0.0, 64.0, 64.0]])
    sum(PointHead((16,)).loss([output], [{"boxes": NOTHING, "ignore": everything}]).values()).backward()
    assert output.grad.abs().max() == 0


@pytest.mark.parametrize("sides", [(1.0, 1.0), (0.0, 0.0), (5000.0, 5000.0)], ids=["one pixel", "empty", "huge"])
def test_losses_and_gradients_are_finite(sides):
    output = torch.randn(1, 5, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    half = torch.tensor(sides) / 2
    face = torch.cat((30 - half, 30 + half))[None]
    loss = PointHead((16,)).loss([output], [{"boxes": face, "ignore": NOTHING}])
    sum(loss.values()).backward()
    assert loss["box"] > 0
    assert output.grad.isfinite().all()
