"""Selection of detections against a greedy twin."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.detection import Selection, postprocess, select_detections


def iou(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0.0) * max(height, 0.0)
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap)


def select_slowly(boxes, scores, score_threshold, iou_threshold, limit):
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        if scores[i] >= score_threshold and all(iou(boxes[i], boxes[k]) <= iou_threshold for k in kept):
            kept.append(i)
    return kept[:limit]


def vote_slowly(boxes, scores, kept, threshold):
    """Every kept box as the mean of the boxes that passed the score threshold (0.3 here) and overlap it enough."""
    voted = torch.zeros(len(kept), 4)
    for row, k in enumerate(kept):
        voters = [
            i for i in range(len(boxes)) if scores[i] >= 0.3 and iou(boxes[k].tolist(), boxes[i].tolist()) >= threshold
        ]
        total = sum(scores[i].item() for i in voters)
        voted[row] = sum(scores[i].item() * boxes[i] for i in voters) / total
    return voted


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 40),
    iou_threshold=st.sampled_from([0.2, 0.3, 0.45, 0.7]),
    limit=st.integers(1, 20),
    vote=st.sampled_from([None, 0.4, 0.6]),
)
def test_equals_the_twin(seed, count, iou_threshold, limit, vote):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(2, count, 2, generator=generator) * 60
    boxes = torch.cat((corner, corner + torch.rand(2, count, 2, generator=generator) * 40 + 1), dim=2)
    scores = (torch.rand(2, count, generator=generator) * 20).round() / 20  # many ties
    found = select_detections(boxes, scores, Selection(0.3, iou_threshold, limit, vote))
    for image in range(2):
        expected = select_slowly(
            boxes[image].tolist(), scores[image].tolist(), scores.new_tensor(0.3).item(), iou_threshold, limit
        )
        wanted = boxes[image][expected] if vote is None else vote_slowly(boxes[image], scores[image], expected, vote)
        assert torch.allclose(found[image].boxes, wanted, atol=0 if vote is None else 1e-4)
        assert torch.equal(found[image].scores, scores[image][expected])


def test_equal_scores_keep_the_order_of_the_cells():
    boxes = torch.tensor([[[0.0, 0, 9, 9], [50, 50, 59, 59], [0, 0, 9, 8], [20, 20, 29, 29]]])
    (found,) = select_detections(boxes, torch.full((1, 4), 0.5), Selection(0.1, 0.3, 9, None))
    assert found.boxes.tolist() == boxes[0, [0, 1, 3]].tolist()


def test_the_limit_keeps_the_best(monkeypatch):
    monkeypatch.setattr(postprocess, "CANDIDATES", 3)
    boxes = torch.arange(10.0)[:, None] * 20 + torch.tensor([0.0, 0.0, 5.0, 5.0])
    scores = torch.arange(10.0) / 10
    (found,) = select_detections(boxes[None], scores[None], Selection(0.0, 0.3, 9, None))
    assert torch.equal(found.scores, torch.tensor([0.9, 0.8, 0.7]))


def test_voting_by_hand():
    """The better box moves a quarter of the way towards the one that it suppresses; a third one is too far to vote."""
    boxes = torch.tensor([[[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 12.0], [30.0, 30.0, 40.0, 40.0]]])
    scores = torch.tensor([[0.75, 0.25, 0.5]])
    (found,) = select_detections(boxes, scores, Selection(0.1, 0.5, 9, 0.5))
    assert torch.allclose(found.boxes, torch.tensor([[0.0, 0.0, 10.0, 10.5], [30.0, 30.0, 40.0, 40.0]]))
    assert found.scores.tolist() == [0.75, 0.5]


def test_voting_of_empty_boxes_and_zero_scores():
    boxes = torch.tensor([[[5.0, 5.0, 5.0, 5.0], [20.0, 20.0, 30.0, 30.0]]])
    (found,) = select_detections(boxes, torch.zeros(1, 2), Selection(0.0, 0.5, 9, 0.5))
    assert torch.allclose(found.boxes, boxes[0])
