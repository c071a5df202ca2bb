import math
import time

import numpy as np
import pytest
import wider_twin
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.errors import InputError
from rnnpool.eval.wider_ap import match, overlaps, precision_recall


def average_precision(detections, faces, counted):
    """Lists per image, as the twin takes them."""
    flags = [
        np.array([i in chosen for i in range(len(boxes))], bool) for boxes, chosen in zip(faces, counted, strict=True)
    ]
    matches = match([rows(d, 5) for d in detections], [rows(f, 4) for f in faces])
    return precision_recall(matches, np.concatenate([np.zeros(0, bool), *flags])).average_precision


def rows(items, columns):
    return np.array(items, float).reshape(-1, columns)


def random_images(rng, images):
    """Boxes on a small grid and scores of few values, so that equal overlaps and equal scores are common."""
    detections, faces, counted = [], [], []
    for _ in range(images):
        boxes = [(*rng.integers(0, 30, 2), *rng.integers(0, 12, 2)) for _ in range(rng.integers(0, 6))]
        found = [(*rng.integers(0, 30, 2), *rng.integers(0, 12, 2)) for _ in range(rng.integers(0, 5))]
        for box in boxes * 2:
            if rng.random() < 0.6:
                shift = rng.integers(-2, 3, 4)
                found.append(tuple(np.maximum(np.array(box) + shift, 0)))
        scores = rng.choice([0.1, 0.5, 0.5004, 0.5009, 0.9, rng.random()], len(found))
        faces.append([tuple(map(float, box)) for box in boxes])
        detections.append([(*map(float, box), float(score)) for box, score in zip(found, scores, strict=True)])
        counted.append({i for i in range(len(boxes)) if rng.random() < 0.6})
    return detections, faces, counted


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6))
def test_equals_the_definition(seed, images):
    detections, faces, counted = random_images(np.random.default_rng(seed), images)
    expected = wider_twin.average_precision(list(zip(detections, faces, strict=True)), counted)
    assert average_precision(detections, faces, counted) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_curve_equals_the_definition(seed):
    detections, faces, counted = random_images(np.random.default_rng(seed), 4)
    expected = wider_twin.precision_recall(list(zip(detections, faces, strict=True)), counted)
    if expected is None:
        return
    flags = np.array(
        [i in chosen for boxes, chosen in zip(faces, counted, strict=True) for i in range(len(boxes))], bool
    )
    curve = precision_recall(match([rows(d, 5) for d in detections], [rows(f, 4) for f in faces]), flags)
    np.testing.assert_allclose(curve.recall, [recall for _, recall in expected], atol=1e-12)
    np.testing.assert_allclose(curve.precision, [precision or 0.0 for precision, _ in expected], atol=1e-12)


A, B, C = (0, 0, 10, 10), (50, 0, 10, 10), (0, 50, 10, 10)


def test_by_hand_ignored_face_and_repeat():
    # A, then the ignored C, then A again (false), then B: precision 1 at recall 1/2, 2/3 at recall 1.
    detections = [[(*A, 0.9), (*C, 0.8), (*A, 0.7), (*B, 0.6)]]
    assert average_precision(detections, [[A, B, C]], [{0, 1}]) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    # Were C counted: 1, 1, 2/3, 3/4 at recalls 1/3, 2/3, 2/3, 1.
    assert average_precision(detections, [[A, B, C]], [{0, 1, 2}]) == pytest.approx(2 / 3 + 1 / 3 * 3 / 4)


def test_by_hand_scores_within_a_thousandth_are_one_step():
    # The true 0.50005 and the false 0.50001 pass the same threshold: 2 of 3 are right there.
    detections = [[(*A, 1.0), (*B, 0.50005), (*C, 0.50001), (200, 200, 10, 10, 0.0)]]
    assert average_precision(detections, [[A, B]], [{0, 1}]) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_by_hand_scores_are_normalised_over_the_set():
    # 10.0 and 10.00001 are far apart once mapped to 0 and 1; unmapped they would be one step.
    detections = [[(*A, 10.00001)], [(*B, 10.0)]]
    assert average_precision(detections, [[A], [A]], [{0}, {0}]) == pytest.approx(0.5)
    curve = precision_recall(match([rows(d, 5) for d in detections], [rows([A], 4)] * 2), np.ones(2, bool))
    assert curve.precision[0] == 1.0
    assert curve.precision[-1] == 0.5


def test_by_hand_pixels_are_counted_with_their_edges():
    # 10x10 pixels against 10x5: 0.5. As continuous boxes, 9x9 against 9x4, it would be 0.44.
    assert overlaps(rows([(0, 0, 9, 4)], 4), rows([(0, 0, 9, 9)], 4))[0, 0] == 0.5
    assert average_precision([[(0, 0, 9, 4, 1.0)]], [[(0, 0, 9, 9)]], [{0}]) == 1.0


def test_by_hand_a_detection_has_no_second_choice():
    # Both overlap the first face most, though the second would do for one of them.
    faces = [[(0, 0, 99, 99), (20, 0, 99, 99)]]
    detections = [[(5, 0, 99, 99, 0.9), (8, 0, 99, 99, 0.8)]]
    assert average_precision(detections, faces, [{0, 1}]) == pytest.approx(0.5)


def test_images_without_annotated_faces_are_not_looked_at():
    with_face = [(*A, 0.5)], [A], {0}
    without = [(*A, 0.9), (*B, 0.8)], [], set()
    detections, faces, counted = zip(with_face, without, strict=True)
    assert average_precision(detections, faces, counted) == 1.0


def test_extremes():
    assert average_precision([[]], [[A]], [{0}]) == 0.0
    assert average_precision([], [], []) != average_precision([], [], [])  # NaN: nothing to find
    assert math.isnan(average_precision([[(*A, 1.0)]], [[A]], [set()]))
    assert average_precision([[(*A, 0.3), (*B, 0.3)]], [[A, B]], [{0, 1}]) == 1.0  # no spread of scores


def test_the_truth_as_detections_is_perfect():
    rng = np.random.default_rng(0)
    faces = [np.column_stack([rng.uniform(0, 900, (n, 2)), rng.uniform(3, 90, (n, 2))]) for n in (1, 9, 40)]
    detections = [np.column_stack([f, rng.random(len(f))]) for f in faces]
    assert precision_recall(match(detections, faces), np.ones(50, bool)).average_precision == 1.0


def test_is_fast():
    rng = np.random.default_rng(0)
    faces = [rng.uniform(1, 500, (15, 4)) for _ in range(259)]
    detections = [np.column_stack([rng.uniform(1, 500, (500, 4)), rng.random(500)]) for _ in range(259)]
    started = time.perf_counter()
    matches = match(detections, faces)
    for _ in range(3):
        precision_recall(matches, np.ones(matches.faces, bool))
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    ("detections", "faces", "message"),
    [
        ([np.zeros((2, 4))], [np.zeros((1, 4))], r"detections of image 0 have shape \(2, 4\); expected \(n, 5\)"),
        ([np.zeros((2, 5))], [np.zeros(4)], r"faces of image 0 have shape \(4,\)"),
        ([np.full((1, 5), np.nan)], [np.zeros((1, 4))], "not finite"),
        ([np.zeros((1, 5))], [], "1 images, faces of 0"),
    ],
)
def test_bad_input_is_named(detections, faces, message):
    with pytest.raises(InputError, match=message):
        match(detections, faces)


def test_counted_must_be_a_flag_for_every_face():
    matches = match([np.zeros((1, 5))], [np.zeros((2, 4))])
    with pytest.raises(InputError, match=r"expected bool \(2,\)"):
        precision_recall(matches, np.array([True]))
    with pytest.raises(InputError, match="counted is int64"):
        precision_recall(matches, np.array([1, 0]))
