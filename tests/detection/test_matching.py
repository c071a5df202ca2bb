"""S3FD's matching against a twin of plain loops over the whole table of IoUs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.detection import matching
from rnnpool.detection.matching import match_anchors
from rnnpool.detection.s3fd_head import make_anchors

SIZES, STRIDES, SIDES = [(12, 16), (6, 8), (3, 4)], (8, 16, 32), (16.0, 32.0, 64.0)


def iou_table(anchors: np.ndarray, objects: np.ndarray) -> np.ndarray:
    table = np.zeros((len(objects), len(anchors)))
    for i, a in enumerate(objects):
        for j, b in enumerate(anchors):
            width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            if width > 0 and height > 0:
                both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
                table[i, j] = width * height / (both - width * height)
    return table


def match_slowly(anchors: np.ndarray, objects: np.ndarray) -> dict[int, int]:
    """anchor -> object, as the paper's section 3.2 and SSD's bipartite rule read."""
    table = iou_table(anchors, objects)
    favourite = [int(table[:, j].argmax()) for j in range(len(anchors))]
    best = [table[:, j].max() for j in range(len(anchors))]
    matched = {j: favourite[j] for j in range(len(anchors)) if best[j] >= 0.35}
    counts = [sum(owner == i for owner in matched.values()) for i in range(len(objects))]
    average = round(sum(counts) / len(objects))
    for i in range(len(objects)):
        weak = [j for j in range(len(anchors)) if favourite[j] == i and 0.1 < best[j] < 0.35]
        weak.sort(key=lambda j: (-best[j], j))
        for j in weak[: max(0, average - counts[i])]:
            matched[j] = i
    for i in range(len(objects)):
        matched[int(table[i].argmax())] = i
    return matched


def random_objects(seed: int, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(count, 2, generator=generator) * torch.tensor([128.0, 96.0])
    half = torch.rand(count, 2, generator=generator) ** 2 * 50 + 1.5
    return torch.cat((centre - half, centre + half), dim=1)


@pytest.fixture(scope="module")
def anchors() -> torch.Tensor:
    return make_anchors(SIZES, STRIDES, SIDES, torch.device("cpu"))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 12), block=st.sampled_from([1, 700, 2**21]))
def test_equals_the_twin(anchors, seed, count, block):
    # In float64, so that no IoU that ties on paper is parted by rounding in one of the two.
    grid, objects = anchors.double(), random_objects(seed, count).double()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_BLOCK", block)  # the table in one piece, in rows, object by object
        found = match_anchors(grid, objects)
    expected = match_slowly(grid.numpy(), objects.numpy())
    assert dict(zip(found.anchor.tolist(), found.object.tolist(), strict=True)) == expected
    assert found.anchor.tolist() == sorted(expected)


def test_every_object_has_an_anchor_unless_they_share_their_best(anchors):
    tiny = torch.tensor([[3.0, 3.0, 4.0, 4.0], [90.0, 60.0, 91.0, 61.0]])  # IoU with any anchor below 0.01
    assert sorted(match_anchors(anchors, tiny).object.tolist()) == [0, 1]


def test_an_exact_anchor_is_matched_to_its_object(anchors):
    found = match_anchors(anchors, anchors[100:101])
    assert found.object[found.anchor == 100].tolist() == [0]


def test_no_objects(anchors):
    assert len(match_anchors(anchors, torch.zeros(0, 4)).anchor) == 0


def test_compensation_gives_a_small_face_its_share():
    """Stage one matches 4 anchors to the larger face and none to the one of 7 pixels; 2 is the average."""
    anchors = make_anchors([(8, 8)], (8,), (16.0,), torch.device("cpu"))
    large, small = torch.tensor([[34.0, 34.0, 61.0, 61.0]]), torch.tensor([[4.0, 4.0, 11.0, 11.0]])
    stage_one = [int((matching.paired_iou(face, anchors) >= matching.THRESHOLD).sum()) for face in (large, small)]
    assert stage_one == [4, 0]
    found = match_anchors(anchors, torch.cat((large, small)))
    assert torch.bincount(found.object).tolist() == [4, 2]
