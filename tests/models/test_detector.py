"""``Detector.predict``: sizes, wrong input, and the mode of the module."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.detection.s3fd_head import S3FDHead
from rnnpool.errors import InputError
from rnnpool.models import create_model
from rnnpool.models.neck import TopDownNeck


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return create_model("face-tiny")


@settings(max_examples=10, deadline=None)
@given(height=st.integers(7, 140), width=st.integers(7, 140), batch=st.integers(1, 2))
def test_any_size(tiny, height, width, batch):
    found = tiny.predict(torch.zeros(batch, 1, height, width), score_threshold=0.0, max_detections=5)
    assert len(found) == batch
    for detections in found:
        assert 1 <= len(detections.scores) <= 5
        assert detections.boxes.shape == (len(detections.scores), 4)
        assert (detections.scores[:-1] >= detections.scores[1:]).all()
        assert (detections.boxes[:, 2:] > detections.boxes[:, :2]).all()


def test_an_image_does_not_depend_on_its_batch(tiny):
    images = torch.randn(3, 1, 64, 96, generator=torch.Generator().manual_seed(1))
    together = tiny.predict(images, score_threshold=0.0, max_detections=20)
    for image, expected in zip(images, together, strict=True):
        (alone,) = tiny.predict(image[None], score_threshold=0.0, max_detections=20)
        assert torch.allclose(alone.scores, expected.scores, atol=1e-6)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(1, 3, 64, 64), r"shape \(1, 3, 64, 64\); face-tiny takes \(B, 1, H, W\)"),
        (torch.zeros(1, 64, 64), r"shape \(1, 64, 64\); face-tiny takes"),
        (torch.zeros(1, 1, 3, 200), "3 x 200 pixels are too small for face-tiny: input height 2"),
        (torch.zeros(1, 1, 0, 64), "holds no pixels"),
    ],
)
def test_wrong_shapes_are_named(tiny, images, message):
    with pytest.raises(InputError, match=message):
        tiny.predict(images)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_named(tiny, value):
    images = torch.zeros(3, 1, 64, 64)
    images[1, 0, 5, 6] = value
    with pytest.raises(InputError, match="image 1 of the batch holds values that are not finite"):
        tiny.predict(images)


@pytest.mark.parametrize("mode", [True, False])
def test_the_mode_is_given_back(tiny, mode):
    tiny.train(mode)
    before = tiny.stages[0][0][1].running_mean.clone()
    tiny.predict(torch.ones(1, 1, 64, 64))
    with pytest.raises(InputError):
        tiny.predict(torch.ones(1, 1, 2, 2))
    assert tiny.training is mode
    assert torch.equal(tiny.stages[0][0][1].running_mean, before)  # predicting is evaluation, whatever the mode


def test_the_head_has_its_own_suppression():
    """S3FD suppresses at 0.3, face-m4 with its voting at 0.4, face-tiny at 0.5; a caller's value goes before all."""
    assert S3FDHead([8], [16.0], [1], training="s3fd").default_iou_threshold == 0.3
    assert create_model("face-m4").head.default_iou_threshold == 0.4
    model = create_model("face-m4")
    images = torch.zeros(1, 1, 64, 64)
    counts = [
        len(model.predict(images, score_threshold=0.0, iou_threshold=threshold)[0].scores)
        for threshold in (0.05, None, 0.9)
    ]
    assert counts[0] < counts[1] < counts[2]


@pytest.mark.parametrize("sizes", [[(4, 4), (2, 2), (1, 1)], [(5, 7), (3, 4), (2, 2)]])
def test_the_neck_adds_each_coarser_level(sizes):
    """Against indexing: the cell (i, j) also receives the cell (i // 2, j // 2) of the level below."""
    torch.manual_seed(0)
    neck = TopDownNeck([3, 4, 5], 2, adds=2).eval()
    features = [torch.randn(1, c, h, w) for c, (h, w) in zip([3, 4, 5], sizes, strict=True)]
    with torch.no_grad():
        outputs = neck(features)
        expected = [lateral(feature) for lateral, feature in zip(neck.laterals, features, strict=True)]
    for level in (1, 0):
        for i in range(sizes[level][0]):
            for j in range(sizes[level][1]):
                expected[level][:, :, i, j] += expected[level + 1][:, :, i // 2, j // 2]
    for found, wanted in zip(outputs, expected, strict=True):
        assert torch.allclose(found, wanted, atol=1e-6)


def test_face_tiny_keeps_its_budget(tiny):
    """155k parameters and four levels; a trained file depends on every one of them."""
    assert sum(parameter.numel() for parameter in tiny.parameters()) == 153_996
    with torch.no_grad():
        outputs = tiny.eval()(torch.zeros(1, 1, 240, 320))
    assert [tuple(output.shape) for output in outputs] == [(1, 5, 30, 40), (1, 5, 15, 20), (1, 5, 8, 10), (1, 5, 4, 5)]


@pytest.mark.parametrize(("name", "same"), [("face-tiny-strided", "madds"), ("face-tiny-strided-wide", "ram")])
def test_the_stems_that_face_tiny_is_compared_with_cost_the_same(name, same):
    from rnnpool.cost import as_graph
    from rnnpool.cost.stream import plan_rows

    ours, theirs = (as_graph(create_model(network), (1, 240, 320)) for network in ("face-tiny", name))
    if same == "madds":
        assert theirs.madds.shared == pytest.approx(ours.madds.shared, rel=0.01)
    else:
        peaks = [plan_rows(graph, dtype="int8").peak for graph in (ours, theirs)]
        # By plan the rival has 5% less, on the chip 5% more (experiments/results/face-stems.md).
        assert peaks[1] == pytest.approx(peaks[0], rel=0.06)
