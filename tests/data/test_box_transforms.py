import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.data.box_transforms import (
    Window,
    assign_faces,
    crop_and_resize,
    face_window,
    flip_boxes,
    random_window,
)
from rnnpool.data.samples import PAD_VALUE

SEED = st.integers(0, 2**32 - 1)
SIDE = st.integers(8, 200)


@given(SEED, SIDE, SIDE, st.sampled_from([(0.3, 1.0), (1.0, 1.6)]))
def test_random_windows_lie_in_the_image_or_around_it(seed, width, height, scale):
    shorter = min(width, height)
    window = random_window(np.random.default_rng(seed), width, height, scale, min_side=10.0)
    assert max(scale[0] * shorter, 10) <= window.side <= max(scale[1] * shorter, 10) + 1e-9
    for start, length in ((window.x, width), (window.y, height)):
        if window.side <= length:
            assert -1e-9 <= start <= length - window.side + 1e-9
        else:
            assert length - window.side - 1e-9 <= start <= 1e-9


@given(SEED, st.integers(60, 300), st.integers(60, 300), st.floats(1, 40), st.floats(1, 40))
def test_face_windows_give_the_face_its_size(seed, width, height, face_width, face_height):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, width - face_width), rng.uniform(0, height - face_height)
    face = np.array([x, y, x + face_width, y + face_height])
    window = face_window(rng, face, width, height, 64, (7.0, 50.0), 4.0)
    zoom = 64 / window.side
    size = max(face_width, face_height, 1.0) * zoom
    assert zoom <= 4.0 + 1e-9
    assert max(width, height) * zoom >= 32 - 1e-9
    # The drawn range holds where neither of these two stands against it.
    if zoom < 4.0 - 1e-9 and max(width, height) * zoom > 32 + 1e-9:
        assert 7 - 1e-9 <= size <= 50 + 1e-9
    if size <= 64:
        mapped = window.to_output(face[None], 64)[0]
        assert mapped.min() >= -1e-6
        assert mapped.max() <= 64 + 1e-6


def reference_crop(pixels, window, size):
    """Exact area average of each output pixel, one at a time; partly covered ones are grey."""
    height, width = pixels.shape[:2]
    scale = window.side / size
    output = np.full((size, size, pixels.shape[2]), float(PAD_VALUE))
    for row in range(size):
        top, bottom = window.y + row * scale, window.y + (row + 1) * scale
        for column in range(size):
            left, right = window.x + column * scale, window.x + (column + 1) * scale
            if left < -1e-6 * scale or top < -1e-6 * scale:
                continue
            if right > width + 1e-6 * scale or bottom > height + 1e-6 * scale:
                continue
            rows = [max(0.0, min(bottom, y + 1) - max(top, y)) for y in range(height)]
            columns = [max(0.0, min(right, x + 1) - max(left, x)) for x in range(width)]
            weight = np.outer(rows, columns)
            output[row, column] = (pixels * weight[..., None]).sum(axis=(0, 1)) / weight.sum()
    return output


@settings(max_examples=30, deadline=None)
@given(SEED, st.sampled_from([1, 3]), st.floats(1.01, 4))
def test_shrinking_is_the_area_average(seed, channels, factor):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (rng.integers(5, 20), rng.integers(5, 20), channels), dtype=np.uint8)
    window = Window(float(rng.uniform(-9, 9)), float(rng.uniform(-9, 9)), 6.0 * factor)
    output = crop_and_resize(pixels, window, 6)
    np.testing.assert_allclose(output, reference_crop(pixels, window, 6), atol=0.51)


@settings(max_examples=60, deadline=None)
@given(SEED, st.integers(3, 40), st.integers(3, 40), st.floats(-30, 30), st.floats(-30, 30), st.floats(2, 80))
def test_what_lies_beyond_the_image_is_grey(seed, width, height, x, y, side):
    pixels = np.full((height, width, 1), 255, np.uint8)
    output = crop_and_resize(pixels, Window(x, y, side), 32)[..., 0]
    edges = np.arange(33) * (side / 32)
    inside_x = (x + edges[:-1] >= -1e-6) & (x + edges[1:] <= width + 1e-6)
    inside_y = (y + edges[:-1] >= -1e-6) & (y + edges[1:] <= height + 1e-6)
    expected = np.where(np.outer(inside_y, inside_x), 255, PAD_VALUE)
    # Where an edge falls on the border of the image, rounding may take the pixel for inside or outside.
    doubt_x = np.abs(x + edges[:-1]) < 1e-4
    doubt_x |= np.abs(x + edges[1:] - width) < 1e-4
    doubt_y = np.abs(y + edges[:-1]) < 1e-4
    doubt_y |= np.abs(y + edges[1:] - height) < 1e-4
    sure = ~(doubt_x[None] | doubt_y[:, None])
    np.testing.assert_array_equal(output[sure], expected[sure])


def test_a_window_beside_the_image_is_all_grey():
    output = crop_and_resize(np.zeros((5, 5, 3), np.uint8), Window(50, 0, 10), 32)
    assert (output == PAD_VALUE).all()


def test_enlarging_is_smooth():
    pixels = np.zeros((4, 4, 1), np.uint8)
    pixels[:, 2:] = 200
    row = crop_and_resize(pixels, Window(0, 0, 4), 16)[0, :, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert len(set(row.tolist())) > 4


BOX = st.tuples(*[st.floats(-20, 80)] * 4).map(
    lambda v: [min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3])]
)


@given(st.lists(BOX, max_size=6), st.lists(BOX, max_size=3))
def test_faces_are_learnt_ignored_or_invisible(faces, regions):
    expected_learnt, expected_ignored = [], []
    for x1, y1, x2, y2 in faces:
        a, b, c, d = max(x1, 0), max(y1, 0), min(x2, 64), min(y2, 64)
        centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2
        if 0 <= centre_x < 64 and 0 <= centre_y < 64 and c - a >= 4 and d - b >= 4:
            expected_learnt.append([a, b, c, d])
        elif c > a and d > b:
            expected_ignored.append([a, b, c, d])
    for x1, y1, x2, y2 in regions:
        a, b, c, d = max(x1, 0), max(y1, 0), min(x2, 64), min(y2, 64)
        if c > a and d > b:
            expected_ignored.append([a, b, c, d])
    learnt, ignored = assign_faces(np.array(faces).reshape(-1, 4), np.array(regions).reshape(-1, 4), 64, 4.0)
    assert learnt.dtype == ignored.dtype == np.float32
    np.testing.assert_array_equal(learnt, np.array(expected_learnt, np.float32).reshape(-1, 4))
    # As float32 a sliver may lose its width; it is kept, and no harm.
    np.testing.assert_array_equal(ignored, np.array(expected_ignored, np.float32).reshape(-1, 4))


def test_flipping():
    assert flip_boxes(np.array([[1.0, 2, 5, 8]]), 20).tolist() == [[15, 2, 19, 8]]
    boxes = np.random.default_rng(0).uniform(0, 20, (7, 4))
    np.testing.assert_allclose(flip_boxes(flip_boxes(boxes, 20), 20), boxes)


def test_windows_map_boxes():
    boxes = Window(10, 20, 50).to_output(np.array([[10.0, 20, 60, 70], [35, 45, 60, 70]]), 100)
    assert boxes == pytest.approx(np.array([[0, 0, 100, 100], [50, 50, 100, 100]]))
