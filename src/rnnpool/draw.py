"""Annotated pictures: a box around every face and its score beside it, readable from thumbnails to panoramas.

Sizes follow the picture: a picture is enlarged until its shorter side has ``MIN_SIDE`` pixels, and strokes and letters
are fixed fractions of the result. A score is left out where it would cover another box or score (the faces of a crowd);
the box itself is always drawn.
"""

from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw, ImageFont

from rnnpool.pipeline import Face

MIN_SIDE = 240  # pixels; below, letters would need more room than the faces have
MAX_SIDE = 2400  # pixels of the longer side up to which a small picture may be enlarged

BOX_COLOUR = (255, 214, 10)
EDGE_COLOUR = (20, 20, 20)  # on both sides of the stroke, so that it shows on any background

Rectangle = tuple[int, int, int, int]  # left, top, right, bottom in pixels, right and bottom included


def draw_faces(image: Image.Image, faces: Sequence[Face]) -> Image.Image:
    """A copy of an RGB ``image`` with ``faces`` (in its pixels) drawn on it; small images come back enlarged."""
    scale = _enlargement(image.size)
    picture = (
        image if scale == 1 else image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    )
    picture = picture.copy()
    draw = ImageDraw.Draw(picture)
    stroke = max(1, round(max(picture.size) / 300))
    font = ImageFont.load_default(size=max(10, min(picture.size) / 25))

    boxes = [_box_pixels(face, scale) for face in faces]
    for box in boxes:
        _draw_box(draw, box, stroke)
    labels: list[Rectangle] = []
    for i in sorted(range(len(faces)), key=lambda i: -faces[i].score):
        text = f"{faces[i].score:.2f}"
        others = boxes[:i] + boxes[i + 1 :] + labels
        label = _free_place(_size_of(text, font), boxes[i], others, picture.size, stroke)
        if label is not None:
            labels.append(label)
            draw.rectangle(label, fill=BOX_COLOUR)
            draw.text(_centre(label), text, fill=EDGE_COLOUR, font=font, anchor="mm")
    return picture


def _enlargement(size: tuple[int, int]) -> int:
    """The whole factor that brings the shorter side to ``MIN_SIDE`` and the longer one to at most ``MAX_SIDE``."""
    wanted = -(-MIN_SIDE // min(size))
    return max(1, min(wanted, MAX_SIDE // max(size)))


def _box_pixels(face: Face, scale: int) -> Rectangle:
    left, top = round(face.x * scale), round(face.y * scale)
    right, bottom = round((face.x + face.width) * scale) - 1, round((face.y + face.height) * scale) - 1
    return left, top, max(left, right), max(top, bottom)


def _draw_box(draw: ImageDraw.ImageDraw, box: Rectangle, stroke: int) -> None:
    """A stroke between two thin dark lines, all outside the box, so that it hides no pixel of a small face."""
    edge = _edge(stroke)
    draw.rectangle(_grown(box, stroke + 2 * edge), outline=EDGE_COLOUR, width=stroke + 2 * edge)
    draw.rectangle(_grown(box, stroke + edge), outline=BOX_COLOUR, width=stroke)


def _edge(stroke: int) -> int:
    return max(1, stroke // 3)


def _free_place(
    size: tuple[int, int], box: Rectangle, others: Sequence[Rectangle], picture: tuple[int, int], stroke: int
) -> Rectangle | None:
    """The first place beside ``box`` that lies in the picture and touches none of ``others``, or None."""
    for left, top in _places(size, box, picture, stroke + 2 * _edge(stroke)):
        label = (left, top, left + size[0] - 1, top + size[1] - 1)
        inside = left >= 0 and top >= 0 and label[2] < picture[0] and label[3] < picture[1]
        if inside and not any(_overlap(label, other) for other in others):
            return label
    return None


def _places(size: tuple[int, int], box: Rectangle, picture: tuple[int, int], frame: int) -> Iterator[tuple[int, int]]:
    """Top left corners to try for a label: above, below, right, left of the frame; the top of a large box."""
    width, height = size
    outer = _grown(box, frame)
    left = min(max(outer[0], 0), picture[0] - width)
    top = min(max(outer[1], 0), picture[1] - height)
    yield left, outer[1] - height
    yield left, outer[3] + 1
    yield outer[2] + 1, top
    yield outer[0] - width, top
    if width <= box[2] - box[0] and 4 * height <= box[3] - box[1]:
        yield max(box[0], 0), max(box[1], 0)


def _size_of(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> tuple[int, int]:
    """Width and height of a label in pixels, margins included."""
    left, top, right, bottom = font.getbbox(text)
    margin = (bottom - top) * 0.4
    return round(right - left + 2 * margin), round(bottom - top + 2 * margin)


def _grown(box: Rectangle, by: int) -> Rectangle:
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def _centre(box: Rectangle) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]
