import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.errors import InputError
from rnnpool.eval.detector import to_original
from rnnpool.preprocess import PAD_VALUE, pad_to_multiple, resize_to_area, resized_size

SIZE = st.integers(1, 400)
INPUT = st.sampled_from([(240, 320), (60, 80), (480, 640)])


@given(st.integers(1, 20000), st.integers(1, 20000), INPUT)
def test_as_many_pixels_and_the_same_aspect(width, height, input_size):
    area = input_size[0] * input_size[1]
    new_width, new_height = resized_size(width, height, input_size)
    assert min(new_width, new_height) >= 1
    aspect = max(width, height) / min(width, height)
    if aspect <= 16:
        # Each side is rounded by half a pixel at most.
        exact_width, exact_height = np.sqrt(area * width / height), np.sqrt(area * height / width)
        assert abs(new_width - exact_width) <= 0.5 + 1e-9
        assert abs(new_height - exact_height) <= 0.5 + 1e-9
    assert max(new_width, new_height) <= 4 * np.sqrt(area) + 0.5
    assert new_width * new_height <= 1.2 * area


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), SIZE, SIZE, st.sampled_from([1, 3]))
def test_resizing_keeps_shape_rules_and_means(seed, width, height, channels):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    resized = resize_to_area(pixels, (60, 80))
    expected_width, expected_height = resized_size(width, height, (60, 80))
    assert resized.shape == (expected_height, expected_width, channels)
    assert resized.dtype == np.uint8
    if expected_width <= width and expected_height <= height:  # area averages keep the mean
        assert abs(resized.mean() - pixels.mean()) < 0.5


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.sampled_from([1, 3]))
def test_shrinking_by_a_whole_number_averages_blocks(seed, factor, channels):
    pixels = np.random.default_rng(seed).integers(0, 256, (6 * factor, 8 * factor, channels), dtype=np.uint8)
    blocks = pixels.reshape(6, factor, 8, factor, channels).mean(axis=(1, 3))
    np.testing.assert_allclose(resize_to_area(pixels, (6, 8)), blocks, atol=0.51)


def test_an_image_of_the_right_size_is_unchanged():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize_to_area(pixels, (60, 80)), pixels)
    np.testing.assert_array_equal(resize_to_area(pixels, (80, 60)), pixels)  # the area counts


@given(SIZE, SIZE, st.sampled_from([8, 32, 64]), st.sampled_from([1, 3]))
def test_padding_is_grey_below_and_beside(width, height, multiple, channels):
    pixels = np.full((height, width, channels), 7, np.uint8)
    padded = pad_to_multiple(pixels, multiple)
    assert padded.shape[0] % multiple == padded.shape[1] % multiple == 0
    assert padded.shape[0] - height < multiple
    assert padded.shape[1] - width < multiple
    np.testing.assert_array_equal(padded[:height, :width], pixels)
    assert (padded[height:] == PAD_VALUE).all()
    assert (padded[:, width:] == PAD_VALUE).all()
    assert padded.dtype == np.uint8


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(20, 400), st.integers(20, 400))
def test_there_and_back(seed, width, height):
    """A rectangle is found where it was painted, to a pixel of the resized image."""
    rng = np.random.default_rng(seed)
    box_width, box_height = rng.integers(max(8, width // 5), width + 1), rng.integers(max(8, height // 5), height + 1)
    x, y = rng.integers(0, width - box_width + 1), rng.integers(0, height - box_height + 1)
    pixels = np.zeros((height, width, 1), np.uint8)
    pixels[y : y + box_height, x : x + box_width] = 255
    resized = resize_to_area(pixels, (60, 80))
    padded = pad_to_multiple(resized, 64)
    bright = padded[: resized.shape[0], : resized.shape[1], 0] > 127
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    found = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], float)
    back = to_original(found, resized.shape, (width, height))[0]
    step_x, step_y = width / resized.shape[1], height / resized.shape[0]
    tolerance = 1.01 * np.array([step_x, step_y, 2 * step_x, 2 * step_y])
    assert (np.abs(back - [x, y, box_width, box_height]) <= tolerance).all()
    assert back[0] + back[2] <= width + 1e-9
    assert back[1] + back[3] <= height + 1e-9


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_extreme_images(shape):
    padded = pad_to_multiple(resize_to_area(np.full((*shape, 1), 9, np.uint8), (240, 320)), 64)
    assert padded.shape[0] % 64 == padded.shape[1] % 64 == 0
    assert padded.size <= 8 * 240 * 320
    assert padded[0, 0, 0] == 9


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 1), np.uint8)],
)
def test_other_arrays_are_refused(pixels):
    with pytest.raises(InputError, match=r"expected uint8 \(H, W, 1\) or \(H, W, 3\), not empty"):
        resize_to_area(pixels, (240, 320))
