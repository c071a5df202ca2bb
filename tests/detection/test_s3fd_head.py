"""The anchor head: its box code, max-out background, and both of its losses on cases computed by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.detection import S3FDHead
from rnnpool.detection.s3fd_head import decode_offsets, encode_offsets, make_anchors
from rnnpool.errors import InputError

NOTHING = torch.zeros(0, 4)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def one_cell(scores: list[float], offsets: list[float]) -> list[torch.Tensor]:
    return [torch.tensor(scores + offsets).reshape(1, -1, 1, 1)]


def test_decode_by_hand():
    """One cell of stride 16 with an anchor of 32: centre (8, 8) + 3.2 * (1, -2), sides 32 * e^(0.2 * (0, 5))."""
    head = S3FDHead((16,), (32,), (2,))
    boxes, scores = head.decode(one_cell([0.5, 2.0], [1.0, -2.0, 0.0, 5.0]))
    half = 16 * math.e
    assert boxes[0, 0].tolist() == pytest.approx([11.2 - 16, 1.6 - half, 11.2 + 16, 1.6 + half], rel=1e-6)
    probability = math.exp(2.0) / (math.exp(0.5) + math.exp(2.0))  # softmax
    assert scores[0, 0].item() == pytest.approx(probability, rel=1e-6)


def test_maxout_takes_the_largest_background():
    head = S3FDHead((4,), (16,), (4,))
    _, scores = head.decode(one_cell([-1.0, 3.0, 0.0, 2.0], [0.0] * 4))
    assert scores[0, 0].item() == pytest.approx(math.exp(2) / (math.exp(2) + math.exp(3)), rel=1e-6)


def test_anchors_follow_the_order_of_the_maps():
    anchors = make_anchors([(2, 2), (1, 1)], (8, 16), (10.0, 20.0), torch.device("cpu"))
    assert anchors.tolist() == [[-1, -1, 9, 9], [7, -1, 17, 9], [-1, 7, 9, 17], [7, 7, 17, 17], [-2, -2, 18, 18]]
    maps = [torch.zeros(1, 6, 2, 2), torch.zeros(1, 6, 1, 1)]
    boxes, _ = S3FDHead((8, 16), (10, 20), (2, 2)).decode(maps)
    assert torch.equal(boxes[0], anchors)


@settings(max_examples=30, deadline=None)
@given(
    centre=st.tuples(st.floats(-50, 700), st.floats(-50, 700)),
    size=st.tuples(st.floats(0.5, 800), st.floats(0.5, 800)),
    anchor=st.floats(8, 512),
)
def test_encode_inverts_decode(centre, size, anchor):
    (x, y), (w, h) = centre, size
    box = torch.tensor([[x - w / 2, y - h / 2, x + w / 2, y + h / 2]], dtype=torch.float64)
    square = torch.tensor([[100.0, 100.0, 100 + anchor, 100 + anchor]], dtype=torch.float64)
    offsets = encode_offsets(box, square)
    assert offsets[0, 2].item() == pytest.approx(math.log(w / anchor) / 0.2)
    inside = offsets[:, 2:].abs().max() <= 20  # what decode can express
    if inside:
        assert torch.allclose(decode_offsets(offsets, square), box, atol=1e-9)


def test_published_loss_by_hand():
    """Four cells, one exact match: its two terms, and the three negatives."""
    head = S3FDHead((16,), (16,), (2,), training="s3fd")
    output = torch.zeros(1, 6, 1, 4)
    output[0, 1, 0] = torch.tensor([1.0, -2.0, 3.0, 0.5])  # face scores; the background's are 0
    output[0, 2:, 0, 0] = torch.tensor([0.5, 0.0, -2.0, 0.0])  # offsets of the matched cell, whose targets are 0
    face = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    loss = head.loss([output], [{"boxes": face, "ignore": NOTHING}])
    negatives = softplus(3.0) + softplus(0.5) + softplus(-2.0)
    assert loss["score"].item() == pytest.approx(softplus(-1.0) + negatives, rel=1e-5)
    assert loss["box"].item() == pytest.approx(0.5 * 0.25 + (2.0 - 0.5), rel=1e-5)  # quadratic below 1, linear above


def test_published_loss_takes_the_three_hardest_negatives():
    head = S3FDHead((16,), (16,), (2,), training="s3fd")
    output = torch.zeros(1, 6, 1, 6)
    output[0, 1, 0] = torch.tensor([4.0, -1.0, 2.0, -3.0, 1.0, 0.0])
    face = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    loss = head.loss([output], [{"boxes": face, "ignore": NOTHING}])
    assert loss["score"].item() == pytest.approx(softplus(-4.0) + softplus(2) + softplus(1) + softplus(0), rel=1e-5)


@pytest.mark.parametrize("training", ["s3fd", "dynamic"])
def test_regions_to_ignore_are_no_background(training):
    head = S3FDHead((16,), (16,), (2,), training=training)
    output = torch.zeros(1, 6, 2, 2, requires_grad=True)
    target = {"boxes": NOTHING, "ignore": torch.tensor([[0.0, 0.0, 16.0, 32.0]])}  # the left column
    sum(head.loss([output], [target]).values()).backward()
    touched = output.grad[0].abs().sum(0) > 0
    assert not touched[:, 0].any()
    # The published loss draws 3 negatives where there is no face at all; only two cells are left.
    assert touched[:, 1].all()


@pytest.mark.parametrize("training", ["s3fd", "dynamic"])
def test_a_face_inside_an_ignored_region_still_counts(training):
    head = S3FDHead((16,), (16,), (2,), training=training)
    output = torch.zeros(1, 6, 2, 2, requires_grad=True)
    everything = torch.tensor([[0.0, 0.0, 32.0, 32.0]])
    target = {"boxes": torch.tensor([[0.0, 0.0, 16.0, 16.0]]), "ignore": everything}
    head.loss([output], [target])["score"].backward()
    touched = output.grad[0, 1] != 0
    assert touched[0, 0]
    assert touched.sum() == 1


def test_dynamic_loss_by_hand():
    """One face on one of two far cells: target IoU at the cell, 0 at the other, and 2 * (1 - GIoU)."""
    head = S3FDHead((64,), (32,), (2,), training="dynamic")
    output = torch.zeros(1, 6, 1, 2)
    output[0, 1, 0] = torch.tensor([0.7, -0.4])
    face = torch.tensor([[16.0, 16.0, 48.0, 64.0]])  # the anchor is 16..48 on both axes, inside the face
    loss = head.loss([output], [{"boxes": face, "ignore": NOTHING}])
    iou = 32 / 48  # also GIoU, since one box lies in the other
    expected = iou * softplus(-0.7) + (1 - iou) * softplus(0.7) + softplus(-0.4)
    assert loss["score"].item() == pytest.approx(expected, rel=1e-5)
    assert loss["box"].item() == pytest.approx(2 * (1 - iou), rel=1e-5)


@pytest.mark.parametrize("training", ["s3fd", "dynamic"])
@pytest.mark.parametrize(
    "boxes",
    [
        NOTHING,
        torch.tensor([[20.0, 20.0, 21.0, 21.0]]),
        torch.tensor([[20.0, 20.0, 20.0, 20.0]]),
        torch.tensor([[-500.0, -500.0, 900.0, 900.0]]),
        torch.tensor([[8.0, 8.0, 40.0, 40.0]]).repeat(50, 1),
    ],
    ids=["none", "one pixel", "empty", "larger than the image", "fifty times the same"],
)
def test_losses_and_gradients_are_finite(training, boxes):
    head = S3FDHead((8, 16), (16, 32), (4, 2), training=training)
    generator = torch.Generator().manual_seed(0)
    maps = [
        torch.randn(2, 8, 8, 8, generator=generator).requires_grad_(),
        torch.randn(2, 6, 4, 4, generator=generator).requires_grad_(),
    ]
    everything = torch.tensor([[0.0, 0.0, 64.0, 64.0]])
    for ignore in (NOTHING, everything):
        loss = head.loss(maps, [{"boxes": boxes, "ignore": ignore}, {"boxes": NOTHING, "ignore": ignore}])
        sum(loss.values()).backward()
        assert all(value.isfinite() for value in loss.values())
        assert all(level.grad.isfinite().all() for level in maps)


def test_wrong_arguments_are_named():
    with pytest.raises(InputError, match="training is 'ssd'; it may be one of dynamic, s3fd"):
        S3FDHead((8,), (16,), (2,), training="ssd")
    with pytest.raises(InputError, match="1, 2 and 1 entries"):
        S3FDHead((8,), (16, 32), (2,))
    with pytest.raises(InputError, match="box_loss is 'iou'; it may be giou, diou, ciou"):
        S3FDHead((8,), (16,), (2,), box_loss="iou")
