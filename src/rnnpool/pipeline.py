"""From a photo to its faces, in the photo's own pixels: what ``rnnpool detect`` does, for use from Python.

detector = FaceDetector.from_name("face-tiny")
for face in detector.detect("photo.jpg"):
    print(face.x, face.y, face.width, face.height, face.score)
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rnnpool.data.samples import normalise
from rnnpool.errors import InputError
from rnnpool.images import ImageLike, image_pixels
from rnnpool.models import Detector, create_model, list_models, model_info, network_of
from rnnpool.preprocess import pad_to_multiple, resize_to_area

DEFAULT_MODEL = "face-tiny"

# The heads learn to score a box by its overlap with the face, so that a score near 1 is rare. At 0.4 about nine of ten
# boxes of face-tiny are faces (WIDER FACE, val: faces of 10 pixels and more after resizing, overlap of 0.4 or more).
DEFAULT_THRESHOLD = 0.4


@dataclass(frozen=True)
class Face:
    """One face: top left corner and size in pixels of the upright image, and a score in 0..1."""

    x: float
    y: float
    width: float
    height: float
    score: float


class FaceDetector:
    """A detector with everything around it: any image in, faces in that image's pixels out.

    Args:
        model: the network; it is used in evaluation mode, on the device that it is on.
    """

    def __init__(self, model: Detector) -> None:
        self.model = model.eval()

    @classmethod
    def from_name(cls, model: str = DEFAULT_MODEL, weights: str | Path = "default") -> "FaceDetector":
        """The registered network ``model`` with the weights of the package ("default") or of a .safetensors file, and
        with the options that the file names.

        Raises:
            InputError: no such network, one that is no detector, no shipped weights, or a file that does not fit.
        """
        if model_info(model).task != "detection":
            detectors = [name for name in list_models() if model_info(name).task == "detection"]
            raise InputError(f"model {model!r} finds no faces; detectors are: {', '.join(detectors)}")
        network = create_model(model, weights=weights)
        assert isinstance(network, Detector), f"the builder of {model!r} is registered as a detector's"
        return cls(network)

    @classmethod
    def from_file(cls, weights: str | Path) -> "FaceDetector":
        """The network that a .safetensors file of ``rnnpool train`` names, with that file's weights.

        Raises:
            InputError: as of ``from_name``, or a file that does not name its network.
        """
        return cls.from_name(network_of(weights), weights)

    def detect(self, image: ImageLike, threshold: float | None = None) -> list[Face]:
        """The faces of an image, best first, cut at its border.

        Args:
            image: a file; a Pillow image of any mode (its EXIF orientation is applied); or an array of uint8 (H, W),
                (H, W, 1) or (H, W, 3), RGB.
            threshold: faces that score less are left out, 0..1; None is ``DEFAULT_THRESHOLD``.

        Raises:
            InputError: a file that cannot be read, an array of another shape or type, a threshold out of range.
        """
        threshold = DEFAULT_THRESHOLD if threshold is None else threshold
        if not 0.0 <= threshold <= 1.0:
            raise InputError(f"threshold is {threshold}; a score is 0..1")
        pixels = image_pixels(image, self.model.in_channels)  # (H, W, C)
        resized = resize_to_area(pixels, self.model.input_size)  # (h, w, C)
        batch = self._network_input(resized)
        found = self.model.predict(batch, score_threshold=threshold)[0]

        height, width = pixels.shape[:2]
        scale = torch.tensor([width / resized.shape[1], height / resized.shape[0]]).repeat(2)
        boxes = found.boxes.cpu() * scale
        border = torch.tensor([width, height], dtype=boxes.dtype).repeat(2)
        boxes = boxes.clamp(min=0).minimum(border)
        return [
            Face(x1, y1, x2 - x1, y2 - y1, score)
            for (x1, y1, x2, y2), score in zip(boxes.tolist(), found.scores.tolist(), strict=True)
            if x2 > x1 and y2 > y1  # the grey below and beside the image is no part of it
        ]

    def _network_input(self, pixels: np.ndarray) -> Tensor:
        """uint8 (h, w, C) -> float32 (1, C, H, W), normalised and padded to multiples of the largest stride."""
        padded = torch.from_numpy(pad_to_multiple(pixels, max(self.model.head.strides)))
        return normalise(padded.to(self.model.device).permute(2, 0, 1)[None])


def to_json_entry(name: str, image: Image.Image, faces: list[Face]) -> dict:
    """What ``rnnpool detect --json`` writes of one image: sizes and boxes to a hundredth of a pixel, scores to 1e-4."""
    return {
        "image": name,
        "width": image.width,
        "height": image.height,
        "faces": [
            {key: round(value, 4 if key == "score" else 2) for key, value in asdict(face).items()} for face in faces
        ],
    }
