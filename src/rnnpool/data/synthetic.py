"""Synthetic pictures that probe what a pooling can tell: lines by angle, shapes by kind, on noise.

Saha et al., NeurIPS 2020, appendix C.1, as rnnpool.md section 4 gives it: 9 angles from 0 to 160 degrees; one line an
image (one class) or several (many labels), 32 or 64 pixels; 5 shapes, several an image, 64 pixels. Thickness, length,
colours, the noise and which 5 shapes are ours; the paper's are not known.

Picture i is a pure function of (seed, i). It is drawn at four times its size and averaged down.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from rnnpool.data.labelled import LabelledImages
from rnnpool.errors import InputError

ANGLES = tuple(range(0, 180, 20))  # degrees, counter-clockwise from the horizontal
SHAPES = ("circle", "triangle", "square", "star", "cross")
_QUARTERS = np.array([(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)])  # their centres: x y, shares of the side
_OVERSAMPLING = 4


@dataclass(frozen=True)
class Synthetic:
    """Which pictures.

    Attributes:
        kind: "lines" by their angle or "shapes" by their kind.
        multi_label: several objects of different classes in one picture, up to ``most``; otherwise exactly one.
        size: side of the pictures in pixels.
        channels: 1 (grey) or 3 (RGB).
        noise: standard deviation of the background's and the object's noise, grey levels.
        contrast: least distance of an object's grey from the background's, grey levels.
    """

    kind: Literal["lines", "shapes"] = "lines"
    multi_label: bool = False
    most: int = 3
    size: int = 32
    channels: int = 3
    noise: float = 25.0
    contrast: float = 70.0

    def __post_init__(self) -> None:
        if self.size < 16:
            raise InputError(f"synthetic.size is {self.size}; the objects need 16 pixels or more")
        if self.channels not in (1, 3):
            raise InputError(f"synthetic.channels is {self.channels}; it may be 1 (grey) or 3 (RGB)")
        most = len(ANGLES) if self.kind == "lines" else len(_QUARTERS)
        if not 1 <= self.most <= most:
            raise InputError(f"synthetic.most is {self.most}; it may be 1 to {most} {self.kind}")
        if not 0 < self.contrast <= 100:
            raise InputError(f"synthetic.contrast is {self.contrast}; it may be above 0 and at most 100 grey levels")

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(f"{angle} degrees" for angle in ANGLES) if self.kind == "lines" else SHAPES


class _Drawn:
    """Pictures in memory, as ``Pixels``."""

    def __init__(self, pictures: np.ndarray) -> None:
        self.pictures, self.channels = pictures, pictures.shape[3]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.pictures[index]

    def size(self, index: int) -> tuple[int, int]:
        return self.pictures.shape[2], self.pictures.shape[1]


def synthetic_images(config: Synthetic, count: int, seed: int) -> LabelledImages:
    """``count`` pictures with their classes: numbers, or with ``multi_label`` 0 and 1 for each class."""
    if count < 1:
        raise InputError(f"the number of synthetic pictures is {count}; it must be at least 1")
    pictures = np.empty((count, config.size, config.size, config.channels), np.uint8)
    held = np.empty((count, len(config.classes)), bool)
    for index in range(count):
        pictures[index], held[index] = picture(config, seed, index)
    targets = held.astype(np.float32) if config.multi_label else held.argmax(axis=1)
    names = [f"{config.kind} {index} of seed {seed}" for index in range(count)]
    return LabelledImages(_Drawn(pictures), names, config.classes, targets)


def picture(config: Synthetic, seed: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture ``index``: uint8 (S, S, C), and bool (K,), the classes in it."""
    rng = np.random.default_rng((seed, index))
    count = int(rng.integers(1, config.most + 1)) if config.multi_label else 1
    held = rng.choice(len(config.classes), size=count, replace=False)
    if config.kind == "lines":
        drawers = [partial(_draw_line, float(ANGLES[number])) for number in held]
    else:
        drawers = [partial(_draw_shape, SHAPES[number]) for number in held]
    labels = np.zeros(len(config.classes), dtype=bool)
    labels[held] = True
    return _painted(config, drawers, rng), labels


def line_at(config: Synthetic, angle: float, seed: int, index: int) -> np.ndarray:
    """uint8 (S, S, C): one line of any ``angle`` in degrees; else as the pictures of ``config``, kind lines."""
    return _painted(config, [partial(_draw_line, angle)], np.random.default_rng((seed, index)))


# (side of the picture, centre as shares of it, random numbers) -> float (S, S), the share of each pixel covered
_Drawer = Callable[[int, np.ndarray, np.random.Generator], np.ndarray]


def _painted(config: Synthetic, drawers: Sequence[_Drawer], rng: np.random.Generator) -> np.ndarray:
    """uint8 (S, S, C): the objects in turn, on noise."""
    size, channels = config.size, config.channels
    ground = rng.uniform(60, 195, channels)
    values = np.broadcast_to(ground, (size, size, channels))
    for place, draw in zip(_places(config, len(drawers), rng), drawers, strict=True):
        cover = draw(size, place, rng)[..., None]  # (S, S, 1), 0..1
        colour = _colour(ground, config.contrast, rng)
        values = values * (1 - cover) + colour * cover
    values = values + config.noise * rng.standard_normal((size, size, channels))
    return values.round().clip(0, 255).astype(np.uint8)


def _places(config: Synthetic, count: int, rng: np.random.Generator) -> np.ndarray:
    """Centres (count, 2) x y as shares of the side: lines near the middle, several shapes in quarters of their own."""
    if config.kind == "lines" or count == 1:
        return rng.uniform(0.35, 0.65, (count, 2))
    return _QUARTERS[rng.permutation(4)][:count] + rng.uniform(-0.04, 0.04, (count, 2))


def _colour(ground: np.ndarray, contrast: float, rng: np.random.Generator) -> np.ndarray:
    """Brighter or darker than the ground in every channel, by ``contrast`` or more; to the side that has the room."""
    up = ground.mean() < 127.5
    room = 255 - ground if up else ground
    step = np.minimum(room, rng.uniform(contrast, contrast + 60, len(ground)))
    return ground + step if up else ground - step


def _draw_line(degrees: float, size: int, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    angle = math.radians(degrees)
    half = rng.uniform(0.3, 0.45) * size
    width = rng.uniform(1.2, 2.2) * size / 32
    along = np.array([math.cos(angle), -math.sin(angle)])
    across = np.array([along[1], -along[0]])
    centre = place * size
    corners = [centre + a * half * along + b * width / 2 * across for a, b in ((-1, -1), (-1, 1), (1, 1), (1, -1))]
    return _cover([corners], size)


def _draw_shape(shape: str, size: int, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    radius = rng.uniform(0.13, 0.19) * size
    turned = rng.uniform(-0.2, 0.2)  # radians
    return _cover(_outlines(shape, place * size, radius, turned), size)


def _outlines(shape: str, centre: np.ndarray, radius: float, turned: float) -> list[list[np.ndarray]]:
    """Polygons that make up a shape."""
    if shape == "cross":
        arm = np.array([(-1, -0.3), (1, -0.3), (1, 0.3), (-1, 0.3)])
        polygons = [arm, arm[:, ::-1]]
    else:
        corners = {"circle": 40, "triangle": 3, "square": 4, "star": 10}[shape]
        angles = np.arange(corners) * 2 * np.pi / corners + (np.pi / 4 if shape == "square" else -np.pi / 2)
        lengths = np.where(np.arange(corners) % 2, 0.42, 1.0) if shape == "star" else np.ones(corners)
        polygons = [np.stack([np.cos(angles), np.sin(angles)], axis=1) * lengths[:, None]]
    turn = np.array([[math.cos(turned), math.sin(turned)], [-math.sin(turned), math.cos(turned)]])
    return [list(centre + radius * polygon @ turn) for polygon in polygons]


def _cover(polygons: list[list[np.ndarray]], size: int) -> np.ndarray:
    """float (S, S): the share of each pixel that the polygons cover; corners are x y in pixels."""
    canvas = Image.new("L", (size * _OVERSAMPLING,) * 2)
    drawing = ImageDraw.Draw(canvas)
    for polygon in polygons:
        drawing.polygon([tuple(float(v) for v in corner * _OVERSAMPLING) for corner in polygon], fill=255)
    return np.asarray(canvas.reduce(_OVERSAMPLING)) / 255.0
