"""The dynamic-k assignment against a twin that looks at every object and every cell of one image, in plain Python."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.detection.assignment import assign, paired_iou
from rnnpool.detection.cells import make_cells, map_sizes

STRIDES = (8, 16, 32)


def iou_of(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0.0) * max(height, 0.0)
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap)


def assign_one_image(
    logits: np.ndarray, predicted: np.ndarray, objects: np.ndarray, centres: np.ndarray, strides: np.ndarray
) -> dict[int, tuple[int, float]]:
    """cell -> (object, IoU), straight from the description: logits (N,), predicted (N, 4), objects (n, 4)."""
    claims: dict[int, list[tuple[float, int, float]]] = {}
    for number, box in enumerate(objects):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        candidates = []
        for cell, ((cx, cy), stride) in enumerate(zip(centres, strides, strict=True)):
            # A window of five cells on either axis, the middle one being that which holds the object's centre.
            if abs(math.floor(cx / stride) - math.floor(x / stride)) > 2:
                continue
            if abs(math.floor(cy / stride) - math.floor(y / stride)) > 2:
                continue
            overlap = iou_of(predicted[cell], box)
            score_cost = math.log1p(math.exp(-logits[cell]))
            cost = score_cost - 3.0 * math.log(overlap + 1e-8)
            if not (box[0] <= cx < box[2] and box[1] <= cy < box[3]):
                cost += 100.0
            candidates.append((cost, cell, overlap))
        best = sorted((overlap for _, _, overlap in candidates), reverse=True)[:10]
        count = max(1, int(sum(best)))
        for cost, cell, overlap in sorted(candidates)[:count]:
            claims.setdefault(cell, []).append((cost, number, overlap))
    return {cell: min(wanting)[1:] for cell, wanting in claims.items()}


def random_case(seed: int, counts: list[int], sizes: list[tuple[int, int]]):
    generator = torch.Generator().manual_seed(seed)
    width, height = sizes[0][1] * STRIDES[0], sizes[0][0] * STRIDES[0]
    cells = make_cells(sizes, STRIDES, torch.device("cpu"))
    total = len(cells.centres)
    logits = torch.randn(len(counts), total, generator=generator) * 2
    noise = torch.randn(len(counts), total, 4, generator=generator)
    centre = cells.centres + 0.4 * cells.strides[:, None] * noise[..., :2]
    half = cells.strides[:, None] * (0.7 + noise[..., 2:].abs())
    predicted = torch.cat((centre - half, centre + half), dim=-1)
    boxes = []
    for count in counts:
        middle = torch.rand(count, 2, generator=generator) * torch.tensor([width, height])
        half = torch.rand(count, 2, generator=generator) ** 3 * 60 + 0.5  # most are small, the smallest 1 pixel wide
        boxes.append(torch.cat((middle - half, middle + half), dim=1))
    return logits, predicted, boxes, cells


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=3),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_equals_the_twin(seed, counts, size):
    sizes = [(math.ceil(size[0] / 2**i), math.ceil(size[1] / 2**i)) for i in range(3)]
    logits, predicted, boxes, cells = random_case(seed, counts, sizes)
    found = assign(logits, predicted, boxes, sizes, STRIDES)
    total = logits.shape[1]

    expected = {}
    first = 0
    for image, objects in enumerate(boxes):
        matched = assign_one_image(
            logits[image].double().numpy(),
            predicted[image].double().numpy(),
            objects.double().numpy(),
            cells.centres.double().numpy(),
            cells.strides.double().numpy(),
        )
        for cell, (number, overlap) in matched.items():
            expected[image * total + cell] = (first + number, overlap)
        first += len(objects)

    assert found.cell.tolist() == sorted(expected)
    assert found.object.tolist() == [expected[cell][0] for cell in found.cell.tolist()]
    assert found.iou.tolist() == pytest.approx([expected[cell][1] for cell in found.cell.tolist()], abs=1e-5)


def test_an_object_smaller_than_a_cell_is_not_lost():
    sizes = [(8, 8), (4, 4), (2, 2)]
    logits, predicted, _, _ = random_case(3, [1], sizes)
    tiny = [torch.tensor([[30.0, 17.0, 31.0, 18.0]])]  # no cell's centre lies inside
    assert len(assign(logits, predicted, tiny, sizes, STRIDES).cell) == 1


def test_images_do_not_mix():
    """Objects of one image never take cells of another, whatever the other images hold."""
    sizes = [(6, 6), (3, 3), (2, 2)]
    logits, predicted, boxes, _ = random_case(11, [4, 5], sizes)
    both = assign(logits, predicted, boxes, sizes, STRIDES)
    second = assign(logits[1:], predicted[1:], boxes[1:], sizes, STRIDES)
    of_second = both.cell >= logits.shape[1]
    assert torch.equal(both.cell[of_second] - logits.shape[1], second.cell)
    assert torch.equal(both.object[of_second] - 4, second.object)


def test_paired_iou_by_hand():
    a = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0]])
    b = torch.tensor([[2.0, 2.0, 6.0, 6.0], [0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    assert paired_iou(a, b).tolist() == pytest.approx([4 / 28, 1.0, 0.0])


def test_cells_are_numbered_level_by_level_row_by_row():
    cells = make_cells([(2, 3), (1, 2)], (8, 16), torch.device("cpu"))
    assert cells.centres.tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12], [8, 8], [24, 8]]
    assert cells.strides.tolist() == [8] * 6 + [16] * 2
    maps = [torch.zeros(1, 5, 2, 3), torch.zeros(1, 5, 1, 2)]
    assert map_sizes(maps) == [(2, 3), (1, 2)]
