"""From images on disk to average precision, with a detector whose answers are known."""

import shutil

import numpy as np
import pytest

from made_sets import write_scut, write_wider
from rnnpool.data.scut import ScutHead
from rnnpool.data.wider import WiderFace
from rnnpool.errors import InputError
from rnnpool.eval.detector import Options, detect_all, to_original
from rnnpool.eval.evaluation import BoxesEvaluation
from rnnpool.eval.sets import open_evaluation
from rnnpool.eval.wider import WiderEvaluation
from white_squares import WHITE_SCORE, build_bright_square, square_photo

AREA = 320 * 240
SQUARE = (192, 128, 64, 64)  # of square_photo(), in its 640x480 pixels: one cell


def photo(*squares, width=640, height=480):
    """Grey, so that padding does not stand out, with white squares x y w h."""
    pixels = np.full((height, width), 128, np.uint8)
    for x, y, w, h in squares:
        pixels[y : y + h, x : x + w] = 255
    return pixels


@pytest.fixture
def model():
    return build_bright_square()


def cell(column, row):
    """The part of a 640x480 image that one cell of the detector sees."""
    return (64 * column, 64 * row, 64, 64)


def test_levels_and_few_faces(tmp_path, model):
    crowd = [cell(0, 0), cell(2, 0), cell(4, 0), cell(6, 0)]
    images = {"0--A/pair": photo(cell(1, 1), cell(3, 3)), "1--B/crowd": photo(*crowd)}
    # The detector cannot see what is not painted: one face of the pair, two of the crowd are missed.
    faces = {"0--A/pair": [cell(1, 1), cell(3, 3), cell(8, 5)], "1--B/crowd": [*crowd, cell(8, 5), cell(8, 2)]}
    counted = {"easy": {"0--A/pair": [0], "1--B/crowd": [0, 1]}, "medium": {"1--B/crowd": [0, 1, 2, 3, 4]}}
    write_wider(tmp_path, images, faces, counted=counted)
    result = WiderEvaluation(tmp_path, channels=1, area=AREA)(model)
    # Nothing false is found, so that every AP is the share found.
    expected = {"easy": 3 / 3, "medium": 6 / 8, "hard": 6 / 9, "easy_few": 1.0, "medium_few": 2 / 3, "hard_few": 2 / 3}
    assert result == pytest.approx(expected)


def test_the_train_mode_of_the_model_stays(tmp_path, model):
    write_wider(tmp_path, {"0--A/a": square_photo()}, {"0--A/a": [SQUARE]})
    evaluation = WiderEvaluation(tmp_path, channels=1, area=AREA)
    model.train()
    assert evaluation(model)["easy"] == 1.0
    assert model.training


def test_ground_truth_of_an_absent_image_is_named(tmp_path):
    write_wider(tmp_path, {"0--A/a": square_photo(), "0--A/b": square_photo()}, {"0--A/a": [], "0--A/b": []})
    text = tmp_path / "wider_face_split" / "wider_face_val_bbx_gt.txt"
    text.write_text("".join(text.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(InputError, match="lists image 0--A/b; wider_face_val_bbx_gt.txt does not"):
        WiderEvaluation(tmp_path, channels=1, area=AREA)


def test_detections_are_in_original_pixels_and_in_order(tmp_path, model):
    # Three sizes of image, none a multiple of the stride after resizing, in an order that batching mixes up.
    scales = {"a": 2, "b": 1, "c": 3, "d": 2, "e": 1}
    images = {f"0--A/{name}": np.kron(photo(cell(1, 2)), np.ones((s, s), np.uint8)) for name, s in scales.items()}
    write_wider(tmp_path, images, {name: [] for name in images})
    data = WiderFace(tmp_path, "val", channels=1)
    seen = []
    found = detect_all(model, data.pixels, range(5), area=AREA, progress=lambda *done: seen.append(done))
    for rows, scale in zip(found, scales.values(), strict=True):
        assert rows[:, :4] == pytest.approx(np.array([cell(1, 2)]) * scale, abs=0.01 * scale)
        assert rows[0, 4] == pytest.approx(WHITE_SCORE, abs=1e-5)
    assert seen[-1] == (5, 5)
    backwards = detect_all(model, data.pixels, [3, 0], area=AREA)
    np.testing.assert_array_equal(backwards[0], found[3])
    np.testing.assert_array_equal(backwards[1], found[0])


def test_options_reach_the_detector(tmp_path, model):
    write_wider(tmp_path, {"0--A/a": photo(cell(1, 1), cell(3, 3))}, {"0--A/a": []})
    pixels = WiderFace(tmp_path, "val", channels=1).pixels
    assert len(detect_all(model, pixels, [0], area=AREA, options=Options(max_detections=1))[0]) == 1
    assert len(detect_all(model, pixels, [0], area=AREA, options=Options(score_threshold=0.9999))[0]) == 0


def test_what_lies_in_the_padding_is_dropped():
    boxes = np.array([[10, 10, 30, 30], [90, 10, 130, 30], [100, 10, 120, 30], [10, 60, 20, 70]], float)
    mapped = to_original(boxes, (50, 100, 1), (200, 150))  # resized 100x50 from 200x150: factors 2 and 3
    np.testing.assert_allclose(mapped[:2], [[20, 30, 40, 60], [180, 30, 20, 60]])  # the second cut at the border
    assert mapped[2, 2] == 0  # beside the image
    assert mapped[3, 3] == 0  # below it


def test_padding_holds_no_detection(tmp_path, model):
    # 320x225 after resizing: the last row of cells, from 224 on, is nearly all padding. Make it look like a face.
    pixels = photo((0, 448, 640, 2), width=640, height=450)
    write_wider(tmp_path, {"0--A/a": pixels}, {"0--A/a": []})
    data = WiderFace(tmp_path, "val", channels=1)
    rows = detect_all(model, data.pixels, [0], area=320 * 225, options=Options(score_threshold=0.0))[0]
    assert len(rows)
    assert (rows[:, 2:4] > 0).all()
    assert (rows[:, :2] >= 0).all()
    assert (rows[:, 0] + rows[:, 2] <= 640).all()
    assert (rows[:, 1] + rows[:, 3] <= 450).all()


def test_any_set_with_regions_to_ignore(tmp_path, model):
    squares = [cell(1, 1), cell(3, 3), cell(5, 1)]
    write_wider(
        tmp_path,
        {"0--A/a": photo(*squares)},
        {"0--A/a": [cell(1, 1), cell(3, 3), cell(8, 5)]},  # of three found one is not annotated
        split="train",
        invalid={"0--A/a": [1]},
    )
    data = WiderFace(tmp_path, "train", channels=1)
    evaluation = BoxesEvaluation(data, ["0--A/a"], area=AREA)
    curve = evaluation.curves(evaluation.detect(model))["mAP"]
    assert curve.faces == 2
    assert curve.recall[-1] == 0.5
    assert curve.precision[-1] == 0.5  # the invalid face counts neither way


def test_images_of_one_name_are_refused(tmp_path):
    """Their detections would be kept under one name, and the second's compared with both."""
    write_wider(tmp_path, {"0--A/a": photo(), "B/0--A/a": photo()}, {"0--A/a": [], "B/0--A/a": []})
    data = WiderFace(tmp_path, "val", channels=1)
    with pytest.raises(InputError, match="two images are called 0--A/a"):
        BoxesEvaluation(data, [data.name(i) for i in range(len(data))], area=AREA)


def test_scut_head_in_colour(tmp_path):
    # White on grey survives JPEG well enough.
    write_scut(tmp_path, {f"p{i}": photo(cell(i, 1)) for i in range(5)}, {f"p{i}": [cell(i, 1)] for i in range(5)})
    data = ScutHead(tmp_path, "train", channels=3)
    evaluation = BoxesEvaluation(data, [data.name(i) for i in range(len(data))], area=AREA)
    assert evaluation(build_bright_square(3)) == {"mAP": 1.0}


def test_own_photos_without_the_tools_files_have_one_level(tmp_path, model):
    faces = {"mine/a": [cell(1, 1), cell(8, 5), cell(3, 3)]}
    write_wider(tmp_path, {"mine/a": photo(cell(1, 1), cell(3, 3))}, faces, invalid={"mine/a": [2]})
    assert set(open_evaluation("wider", tmp_path, channels=1, area=AREA)(model)) > {"easy", "hard_few"}
    shutil.rmtree(tmp_path / "ground_truth")
    assert open_evaluation("wider", tmp_path, channels=1, area=AREA)(model) == {"mAP": 0.5}
