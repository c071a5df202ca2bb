import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.resampling import area_resize


def reference(pixels, size, box):
    """Each result's mean by integrating over the pixels that it covers, one at a time."""
    left, top, right, bottom = box
    width, height = size
    output = np.zeros((height, width, pixels.shape[2]))
    for i in range(height):
        y0, y1 = top + (bottom - top) * i / height, top + (bottom - top) * (i + 1) / height
        for j in range(width):
            x0, x1 = left + (right - left) * j / width, left + (right - left) * (j + 1) / width
            for y in range(int(y0), min(int(np.ceil(y1)), pixels.shape[0])):
                for x in range(int(x0), min(int(np.ceil(x1)), pixels.shape[1])):
                    part = max(0, min(y + 1, y1) - max(y, y0)) * max(0, min(x + 1, x1) - max(x, x0))
                    output[i, j] += pixels[y, x] * part / ((y1 - y0) * (x1 - x0))
    return output


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 14),
    st.integers(1, 14),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([1, 3]),
    st.booleans(),
)
def test_equals_the_integral(seed, width, height, new_width, new_height, channels, is_whole):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    box = (0.0, 0.0, float(width), float(height))
    if not is_whole:
        left, right = np.sort(rng.uniform(0, width, 2))
        top, bottom = np.sort(rng.uniform(0, height, 2))
        box = (left, top, min(right + 1e-3, width), min(bottom + 1e-3, height))
    result = area_resize(pixels, (new_width, new_height), box)
    assert result.dtype == np.uint8
    assert result.shape == (new_height, new_width, channels)
    np.testing.assert_allclose(result, reference(pixels, (new_width, new_height), box), atol=0.51)


def test_means_survive_odd_factors():
    pixels = np.random.default_rng(0).integers(0, 256, (301, 401, 1), dtype=np.uint8)
    for size in [(400, 300), (333, 217), (100, 100), (7, 3)]:
        assert area_resize(pixels, size, (0, 0, 401, 301)).mean() == pytest.approx(pixels.mean(), abs=0.3)


def test_the_whole_at_its_own_size_is_unchanged():
    pixels = np.random.default_rng(0).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    np.testing.assert_array_equal(area_resize(pixels, (23, 17), (0, 0, 23, 17)), pixels)


def test_strange_edges_do_not_reach_beyond_the_image():
    """Sums of floats that end a hair below or above the border."""
    pixels = np.full((10, 10, 1), 200, np.uint8)
    for start in np.linspace(0, 5, 97):
        for count in (3, 7, 9):
            box = (start, start, 10.0, np.nextafter(10.0, 0))
            assert (area_resize(pixels, (count, count), box) == 200).all()
