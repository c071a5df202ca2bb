"""A detector whose network is integers: what the chip finds, for use wherever a ``Detector`` is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnpool.data.samples import normalise
from rnnpool.errors import InputError
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.storage import load_network
from rnnpool.models import create_model
from rnnpool.models.detector import Detector, Head


class IntDetector(Detector):
    """``predict`` and ``forward`` of a detector, computed in integers; boxes are decoded from them in float.

    Args:
        network: with the outputs of a detector.
        head: of the detector that it was made from.
    """

    def __init__(self, network: IntNetwork, head: Head) -> None:
        channels, height, width = network.image.shape
        super().__init__(network.name, channels, (height, width), [], None, [], head)
        self.network = network

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) of (v - 128) / 128 -> per level float32 (B, scores + 4, h, w)."""
        images = [self.network.real_outputs(self.network.run(image)) for image in to_bytes(x)]
        return [torch.from_numpy(np.stack(level)).float() for level in zip(*images, strict=True)]

    @classmethod
    def load(cls, path: str | Path) -> "IntDetector":
        """The detector of a file that ``rnnpool quantize`` wrote.

        Raises:
            InputError: no such file, or one of a network that the registry does not have, or that is no detector.
        """
        return cls.of_registry(load_network(path))

    @classmethod
    def of_registry(cls, network: IntNetwork) -> "IntDetector":
        """A detector with the head of the registered network of the same name."""
        with torch.device("meta"):  # its geometry alone is wanted
            model = create_model(network.name)
        if not isinstance(model, Detector):
            raise InputError(f"{network.name!r} is no detector; it has no boxes to decode")
        return cls(network, model.head)


def to_bytes(images: Tensor) -> NDArray[np.uint8]:
    """The camera's bytes of network inputs (v - 128) / 128, rounded and cut to 0..255."""
    return (images.detach().cpu() * 128).round().add(128).clamp(0, 255).to(torch.uint8).numpy()


def from_bytes(images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> Tensor:
    """(B, C, H, W) bytes -> network inputs."""
    return normalise(torch.from_numpy(np.array(images)))
