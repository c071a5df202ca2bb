"""What every classification data set is: pixels of images, and targets of samples that lie in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnpool.data.pixel_cache import Pixels


@dataclass(frozen=True)
class LabelledImages:
    """N samples, each an image or a window of one.

    Attributes:
        pixels: the images.
        names: (N,) of the samples, for messages.
        classes: (K,) their names.
        targets: int64 (N,) numbers of classes, or float32 (N, K): probabilities, or 0 and 1 where several may hold.
        images: int64 (N,) the image that each sample lies in; None: sample i is image i.
        windows: int64 (N, 4) x, y, width, height in pixels of the image; None: samples are whole images.
    """

    pixels: Pixels
    names: Sequence[str]
    classes: tuple[str, ...]
    targets: np.ndarray
    images: np.ndarray | None = None
    windows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def images_of(self, samples: np.ndarray) -> np.ndarray:
        """int64 (B,): the images that these samples lie in."""
        return samples if self.images is None else self.images[samples]

    def windows_of(self, samples: np.ndarray, sizes: Sequence[tuple[int, int]] | None = None) -> np.ndarray:
        """int64 (B, 4): x, y, width, height of these samples, in pixels of their images.

        Args:
            sizes: (width, height) of these images, for who has decoded them; None: they are looked up.
        """
        if self.windows is not None:
            return self.windows[samples]
        sizes = sizes or [self.pixels.size(int(image)) for image in self.images_of(samples)]
        return np.array([(0, 0, *size) for size in sizes], dtype=np.int64)

    def region(self, index: int) -> np.ndarray:
        """uint8 (H, W, C) of sample ``index``; not to be written to."""
        pixels = self.pixels[index if self.images is None else int(self.images[index])]
        if self.windows is None:
            return pixels
        x, y, width, height = self.windows[index]
        return pixels[y : y + height, x : x + width]

    def take(self, chosen: np.ndarray) -> "LabelledImages":
        """The samples of these numbers, on the same pixels."""
        images = np.arange(len(self)) if self.images is None else self.images
        windows = None if self.windows is None else self.windows[chosen]
        names = [self.names[int(index)] for index in chosen]
        return LabelledImages(self.pixels, names, self.classes, self.targets[chosen], images[chosen], windows)
