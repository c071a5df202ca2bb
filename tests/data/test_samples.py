import numpy as np
import pytest
import torch

from made_images import InMemory
from rnnpool.data.collate import collate_detection
from rnnpool.data.samples import PAD_VALUE, Annotation, DetectionDataset, normalise


def test_normalising_maps_bytes_to_about_one():
    values = normalise(torch.tensor([0, 64, PAD_VALUE, 192, 255], dtype=torch.uint8))
    assert values.tolist() == [-1.0, -0.5, 0.0, 0.5, 127 / 128]
    assert values.dtype == torch.float32


def test_samples_share_pixels_and_copy_boxes():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    boxes = np.array([[1, 2, 3, 4]], np.float32)
    data = DetectionDataset(InMemory([pixels]), [Annotation("a", boxes, boxes[:0])])
    sample = data[0]
    assert data.channels == 3
    assert sample.image.shape == (3, 5, 7)
    assert sample.image[2, 4, 6] == pixels[4, 6, 2]
    assert sample.image.data_ptr() == pixels.ctypes.data  # a view: nothing of a mapped file is read before it is used
    sample.boxes.add_(1)
    assert data[0].boxes.tolist() == [[1, 2, 3, 4]]
    assert sample.ignore.shape == (0, 4)


def test_batches_stack_images_and_keep_targets_apart():
    items = [
        (torch.full((1, 4, 4), float(i)), {"boxes": torch.full((i, 4), float(i)), "ignore": torch.ones(2 - i, 4)})
        for i in range(3)
    ]
    images, packed = collate_detection(items)
    assert images.shape == (3, 1, 4, 4)
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert packed.boxes.shape == packed.ignore.shape == (3, 4)
    for (_, target), unpacked in zip(items, packed.unpack(), strict=True):
        assert all(torch.equal(target[key], unpacked[key]) for key in ("boxes", "ignore"))
    with pytest.raises(RuntimeError):
        collate_detection([*items, (torch.zeros(1, 5, 4), items[0][1])])
