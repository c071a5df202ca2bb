"""A detector whose network is integers: what the chip finds, for use wherever a ``Detector`` is."""

from pathlib import Path

import torch
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.integer.module import run_batch
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
        return run_batch(self.network, x)

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
