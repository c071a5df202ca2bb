"""A detector whose network and head are integers: what the chip finds, for use wherever a ``Detector`` is."""

from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnpool.detection import Detections, PointHead, S3FDHead
from rnnpool.errors import InputError
from rnnpool.integer.head import OVERLAP, POSITION, SCORE, IntHead, integer_head
from rnnpool.integer.module import run_batch, to_bytes
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.storage import load_network
from rnnpool.models import create_model, list_models
from rnnpool.models.detector import Detector, Head


class IntDetector(Detector):
    """``predict`` and ``forward`` of a detector, computed in integers.

    Args:
        network: with the outputs of a detector.
        head: of the detector that it was made from.

    Raises:
        InputError: a head without integers, or as ``integer_head`` says.
    """

    def __init__(self, network: IntNetwork, head: Head) -> None:
        channels, height, width = network.image.shape
        super().__init__(network.name, channels, (height, width), [], None, [], head)
        if not isinstance(head, PointHead | S3FDHead):
            raise InputError(f"{network.name} has a {type(head).__name__}; integers exist of PointHead and S3FDHead")
        self.network = network
        self.integer_head = integer_head(head, network)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) of (v - 128) / 128 -> per level float32 (B, scores + 4, h, w)."""
        return run_batch(self.network, self.network.run, x)

    def find(self, image: NDArray[np.uint8], head: IntHead, threshold: int) -> NDArray[np.int64]:
        """Bytes (C, H, W) -> (n, 5) x1 y1 x2 y2 score, as ``IntHead.detect`` gives them."""
        return head.detect(self.network.run(image), threshold)

    @torch.no_grad()
    def predict(
        self,
        images: Tensor,
        *,
        score_threshold: float = 0.02,
        iou_threshold: float | None = None,
        max_detections: int = 750,
    ) -> list[Detections]:
        """As ``Detector.predict``, boxes to a sixteenth of a pixel; at most as many as the head has candidates."""
        self._check(images)
        head = self.integer_head
        if iou_threshold is not None:
            head = replace(head, iou=round(iou_threshold * OVERLAP))
        results = []
        for image in to_bytes(images):
            rows = torch.from_numpy(self.find(image, head, round(score_threshold * SCORE))[:max_detections])  # (n, 5)
            results.append(Detections(rows[:, :4].float() / POSITION, rows[:, 4].float() / SCORE))
        return results

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The detector of a file that ``rnnpool quantize`` wrote.

        Raises:
            InputError: no such file, or one of a network that the registry does not have, or that is no detector.
        """
        return cls.of_registry(load_network(path))

    @classmethod
    def of_registry(cls, network: IntNetwork) -> Self:
        """A detector with the head of the registered network of the same name."""
        head = registered_head(network.name)
        if head is None:
            raise InputError(f"{network.name!r} is no detector; it has no boxes to decode")
        return cls(network, head)


def registered_head(name: str) -> Head | None:
    """The head of a registered detector; None for networks of other kinds; InputError for unknown names."""
    with torch.device("meta"):  # its geometry alone is wanted
        model = create_model(name)
    return model.head if isinstance(model, Detector) else None


def find_integer_head(network: IntNetwork) -> IntHead | None:
    """How the outputs of ``network`` become boxes: known if it is a registered detector, else None."""
    head = registered_head(network.name) if network.name in list_models() else None
    return integer_head(head, network) if isinstance(head, PointHead | S3FDHead) else None
