"""Annotated pictures: boxes where they belong, scores that cover nothing."""

import numpy as np
import pytest
from PIL import Image

from rnnpool.draw import BOX_COLOUR, MIN_SIDE, draw_faces
from rnnpool.pipeline import Face


def coloured(picture: Image.Image) -> np.ndarray:
    """bool (H, W): the pixels of the boxes' colour."""
    return (np.asarray(picture) == BOX_COLOUR).all(axis=2)


def test_the_box_surrounds_the_face_and_hides_none_of_it() -> None:
    image = Image.new("RGB", (400, 300), (90, 120, 150))
    before = np.asarray(image).copy()
    picture = draw_faces(image, [Face(100, 80, 60, 70, 0.9)])
    assert picture.size == (400, 300)
    assert (np.asarray(image) == before).all()  # the original is left alone
    inside = np.asarray(picture)[80:150, 100:160]
    assert (inside == (90, 120, 150)).all()
    mark = coloured(picture)
    for edge in (mark[80:150, 98:100], mark[80:150, 160:162], mark[78:80, 100:160], mark[150:152, 100:160]):
        assert edge.any(axis=0 if edge.shape[0] < edge.shape[1] else 1).all()


def test_no_faces_no_change() -> None:
    image = Image.effect_noise((300, 260), 60).convert("RGB")
    assert np.array_equal(np.asarray(draw_faces(image, [])), np.asarray(image))


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (1, 3000), (5000, 40)])
def test_small_pictures_are_enlarged_by_whole_factors(size: tuple[int, int]) -> None:
    picture = draw_faces(Image.new("RGB", size), [Face(0, 0, *size, 1.0)])
    factor = picture.width // size[0]
    assert picture.size == (size[0] * factor, size[1] * factor)
    assert factor >= 1
    if max(size) * 2 <= 2400 and factor * max(size) < 1200:
        assert min(picture.size) >= MIN_SIDE


def test_every_face_of_a_crowd_has_its_box() -> None:
    faces = [Face(20.0 * i + 4, 20.0 * j + 4, 12, 12, 0.5 + 0.001 * i) for i in range(30) for j in range(20)]
    picture = draw_faces(Image.new("RGB", (640, 420)), faces)
    mark = coloured(picture)
    for face in faces:
        assert mark[round(face.y) : round(face.y) + 12, round(face.x) - 2 : round(face.x)].any()
        assert not mark[round(face.y) : round(face.y) + 12, round(face.x) : round(face.x) + 12].any()


def test_boxes_at_and_beyond_the_border() -> None:
    for face in (
        Face(0, 0, 300, 300, 1.0),
        Face(-50, -50, 20, 20, 0.7),
        Face(299, 299, 1, 1, 0.6),
        Face(5, 5, 0, 0, 0.5),
    ):
        assert draw_faces(Image.new("RGB", (300, 300)), [face]).size == (300, 300)
