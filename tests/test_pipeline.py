"""Any kind of image in, faces in its own pixels out."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from rnnpool.errors import InputError
from rnnpool.models import create_model, save_weights
from rnnpool.pipeline import Face, FaceDetector, to_json_entry
from white_squares import WHITE_SCORE, square_photo


@pytest.fixture
def detector(bright_square: str) -> FaceDetector:
    return FaceDetector(create_model(bright_square))


def only_face(faces: list[Face]) -> tuple[float, ...]:
    assert len(faces) == 1, faces
    assert 0.9 < faces[0].score <= WHITE_SCORE + 1e-6  # bilinear enlargement greys the corners
    return faces[0].x, faces[0].y, faces[0].width, faces[0].height


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (192, 128, 64, 64)),  # halved
        ((320, 240), (96, 64, 32, 32)),  # as it is
        ((160, 120), (48, 32, 16, 16)),  # doubled
        ((2000, 1500), (600, 400, 200, 200)),
    ],
)
def test_boxes_are_in_the_pixels_of_the_image(detector: FaceDetector, size: tuple, expected: tuple) -> None:
    x, y, side, _ = expected
    assert only_face(detector.detect(square_photo(*size, x, y, side))) == pytest.approx(expected, abs=0.01)


def test_rows_and_columns_scale_apart_where_rounding_differs(detector: FaceDetector) -> None:
    # 500 x 333 becomes 339.57 x 226.16, rounded to 340 x 226: the cell (2, 3) is 96..128 x 64..96 there.
    pixels = np.zeros((333, 500), dtype=np.uint8)
    expected = (96 * 500 / 340, 64 * 333 / 226, 32 * 500 / 340, 32 * 333 / 226)
    x, y, width, height = (round(v) for v in expected)
    pixels[y - 1 : y + height + 1, x - 1 : x + width + 1] = 255
    assert only_face(detector.detect(pixels)) == pytest.approx(expected, abs=1e-3)


def test_kinds_of_images_agree(detector: FaceDetector, tmp_path: Path) -> None:
    grey = square_photo()
    path = tmp_path / "photo.png"
    Image.fromarray(grey).save(path)
    kinds = [grey, grey[..., None], np.stack([grey] * 3, axis=2), Image.fromarray(grey), path, str(path)]
    kinds += [Image.fromarray(grey).convert(mode) for mode in ("1", "RGB", "RGBA", "P", "LA", "CMYK")]
    kinds += [grey[:, ::-1][:, ::-1], np.asfortranarray(grey)]  # other memory layouts
    for kind in kinds:
        assert only_face(detector.detect(kind)) == (192, 128, 64, 64)


def test_orientation_of_a_pillow_image_is_applied(detector: FaceDetector) -> None:
    image = Image.fromarray(square_photo()).transpose(Image.Transpose.ROTATE_90)
    image.getexif()[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    assert only_face(detector.detect(image)) == (192, 128, 64, 64)


def test_a_colour_network_gets_colour(monkeypatch: pytest.MonkeyPatch, bright_square: str) -> None:
    detector = FaceDetector(create_model(bright_square, in_channels=3))
    assert only_face(detector.detect(square_photo())) == (192, 128, 64, 64)
    red = np.stack([square_photo(), np.zeros((480, 640)), np.zeros((480, 640))], axis=2).astype(np.uint8)
    assert detector.detect(red) == []


def test_padding_and_edges(detector: FaceDetector) -> None:
    # White all over: the row of cells that reaches 16 pixels below the image is half grey, so it is no face.
    faces = detector.detect(np.full((240, 320), 255, np.uint8), threshold=0.5)
    assert sorted((f.x, f.y, f.width, f.height) for f in faces) == [
        (x, y, 32, 32) for x in range(0, 320, 32) for y in range(0, 224, 32)
    ]
    # Below its own threshold it is one, and is cut at the border.
    faces = detector.detect(np.full((240, 320), 255, np.uint8), threshold=0.002)
    assert {(f.y, f.height) for f in faces} == {*((y, 32) for y in range(0, 224, 32)), (224, 16)}


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_tiny_and_thin_images(detector: FaceDetector, size: tuple[int, int]) -> None:
    assert detector.detect(np.zeros(size, np.uint8)) == []
    for face in detector.detect(np.full(size, 255, np.uint8)):
        assert 0 <= face.x < face.x + face.width <= size[1]
        assert 0 <= face.y < face.y + face.height <= size[0]


def test_a_hundred_megapixels(detector: FaceDetector) -> None:
    # 11520 x 8640 is 36 times 320 x 240.
    image = Image.new("L", (11520, 8640))
    image.paste(255, (96 * 36, 64 * 36, 128 * 36, 96 * 36))
    assert only_face(detector.detect(image)) == (3456, 2304, 1152, 1152)


def test_threshold(detector: FaceDetector) -> None:
    photo = square_photo()
    assert len(detector.detect(photo, threshold=WHITE_SCORE - 1e-4)) == 1
    assert detector.detect(photo, threshold=WHITE_SCORE + 1e-4) == []
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="threshold is"):
            detector.detect(photo, threshold=wrong)


def test_best_first(detector: FaceDetector) -> None:
    photo = square_photo(320, 240, 96, 64, 32)
    photo[64:96, 192:224] = 230
    assert [face.x for face in detector.detect(photo)] == [96, 192]


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(4, np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_of_another_kind_are_refused(detector: FaceDetector, array: np.ndarray) -> None:
    with pytest.raises(InputError, match=re.escape(f"{array.dtype} {array.shape}")):
        detector.detect(array)


def test_from_name(tmp_path: Path, bright_square: str) -> None:
    file = tmp_path / "weights.safetensors"
    save_weights(create_model(bright_square), file)
    assert only_face(FaceDetector.from_name(bright_square, file).detect(square_photo())) == (192, 128, 64, 64)
    with pytest.raises(InputError, match="no trained weights are shipped for model 'bright-square'"):
        FaceDetector.from_name(bright_square)
    with pytest.raises(InputError, match="did you mean"):
        FaceDetector.from_name("bright-sqare")
    with pytest.raises(InputError, match="not of 'face-tiny'"):
        FaceDetector.from_name("face-tiny", file)
    assert only_face(FaceDetector.from_file(file).detect(square_photo())) == (192, 128, 64, 64)


def test_a_file_brings_the_options_of_its_network(tmp_path: Path) -> None:
    file, silent = tmp_path / "colour.safetensors", tmp_path / "silent.safetensors"
    model = create_model("face-tiny", in_channels=3)
    save_weights(model, file, {"model_options": '{"in_channels": 3}'})
    assert FaceDetector.from_file(file).model.in_channels == 3
    assert FaceDetector.from_name("face-tiny", file).model.in_channels == 3
    save_file(model.state_dict(), silent)
    with pytest.raises(InputError, match="silent.safetensors: does not name its network"):
        FaceDetector.from_file(silent)


def test_json_entry() -> None:
    image = Image.new("RGB", (20, 10))
    assert to_json_entry("a.png", image, [Face(1.23456, 2, 3, 4, 0.987654)]) == {
        "image": "a.png",
        "width": 20,
        "height": 10,
        "faces": [{"x": 1.23, "y": 2, "width": 3, "height": 4, "score": 0.9877}],
    }
