"""Data sets of images that are made in memory."""

import numpy as np

from rnnpool.data.samples import Annotation, DetectionDataset

BACKGROUND, FACE = 20, 240
NONE = np.zeros((0, 4), np.float32)


class InMemory:
    """Pixels that are given as arrays."""

    def __init__(self, arrays, channels=None):
        self.arrays = arrays
        self.channels = channels or arrays[0].shape[2]

    def __len__(self):
        return len(self.arrays)

    def __getitem__(self, index):
        return self.arrays[index]

    def size(self, index):
        return self.arrays[index].shape[1], self.arrays[index].shape[0]


def painted(rng, count, channels=1):
    """Images with bright rectangles on a dark ground, which are the faces."""
    arrays, annotations = [], []
    for i in range(count):
        width, height = rng.integers(40, 160, 2)
        pixels = np.full((height, width, channels), BACKGROUND, np.uint8)
        boxes = []
        for _ in range(rng.integers(0, 4)):
            w, h = rng.integers(4, 35, 2)
            x, y = rng.integers(0, width - w + 1), rng.integers(0, height - h + 1)
            if not any(x <= b[2] + 8 and b[0] <= x + w + 8 and y <= b[3] + 8 and b[1] <= y + h + 8 for b in boxes):
                boxes.append((x, y, x + w, y + h))
                pixels[y : y + h, x : x + w] = FACE
        arrays.append(pixels)
        array = np.array(boxes, np.float32).reshape(-1, 4)
        annotations.append(Annotation(f"image-{i}", array, np.zeros((0, 4), np.float32)))
    return DetectionDataset(InMemory(arrays), annotations)


def noisy(rng, count, channels):
    """Images of random pixels without a face, of many sizes."""
    shapes = rng.integers(20, 150, (count, 2))
    arrays = [rng.integers(0, 256, (*shape, channels), dtype=np.uint8) for shape in shapes]
    return without_faces(arrays)


def without_faces(arrays):
    return DetectionDataset(InMemory(arrays), [Annotation(f"image-{i}", NONE, NONE) for i in range(len(arrays))])
