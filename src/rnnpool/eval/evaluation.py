"""What evaluations of detectors share: images, their annotated faces, and the way from a network to curves."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rnnpool.data.samples import DetectionDataset
from rnnpool.errors import InputError
from rnnpool.eval.detector import Options, Progress, detect_all
from rnnpool.eval.wider_ap import Curve, match, precision_recall
from rnnpool.models.detector import Detector

Detections = Mapping[str, np.ndarray]  # name of an image -> (n, 5), x y w h score in pixels


@dataclass(frozen=True)
class Truth:
    """Annotated faces of a set of images.

    Attributes:
        names: of the images, such as ``EVENT/NAME``; without suffix.
        boxes: per image float64 (m, 4), x y w h of all annotated faces, in pixels.
        counted: per level, per image, bool (m,): the faces that the level counts.
    """

    names: list[str]
    boxes: list[np.ndarray]
    counted: dict[str, list[np.ndarray]]

    def part(self, numbers: Sequence[int]) -> "Truth":
        """The images of these numbers alone."""
        return Truth(
            [self.names[i] for i in numbers],
            [self.boxes[i] for i in numbers],
            {level: [counted[i] for i in numbers] for level, counted in self.counted.items()},
        )


def level_curves(detections: Detections, truth: Truth) -> dict[str, Curve]:
    """The curve of every level by its name; an image that is not in ``detections`` has none."""
    found = [detections.get(name, np.zeros((0, 5))) for name in truth.names]
    matches = match(found, truth.boxes)
    return {
        level: precision_recall(matches, np.concatenate([np.zeros(0, dtype=bool), *counted]))
        for level, counted in truth.counted.items()
    }


class Evaluation:
    """A set of images to evaluate detectors on.

    Args:
        dataset: the images.
        indices: for each image of ``truth`` its number in ``dataset``.
        truth: their annotated faces.
        area: pixels that images are resized to (320 * 240, 640 * 480).
    """

    def __init__(self, dataset: DetectionDataset, indices: Sequence[int], truth: Truth, area: int):
        self.dataset = dataset
        self.indices = list(indices)
        self.truth = truth
        self.area = area

    def detect(
        self, model: Detector, *, options: Options | None = None, progress: Progress | None = None
    ) -> dict[str, np.ndarray]:
        """Name -> float64 (n, 5), x y w h score in pixels of the original image, best first."""
        found = detect_all(model, self.dataset.pixels, self.indices, area=self.area, options=options, progress=progress)
        return dict(zip(self.truth.names, found, strict=True))

    def curves(self, detections: Detections) -> dict[str, Curve]:
        """Precision and recall by level."""
        return level_curves(detections, self.truth)

    def __call__(self, model: Detector) -> dict[str, float]:
        """Average precision by level; NaN where no face is counted."""
        return {level: curve.average_precision for level, curve in self.curves(self.detect(model)).items()}


class BoxesEvaluation(Evaluation):
    """Any set of annotated images, one level: ``level`` counts every box, and no region to ignore.

    For SCUT-HEAD this is the "mAP" of RNNPool (NeurIPS 2020): there is one class to take the mean over.

    Args:
        names: of the images of ``dataset``.

    Raises:
        InputError: two images of one name.
    """

    def __init__(self, dataset: DetectionDataset, names: Sequence[str], *, area: int, level: str = "mAP"):
        twice = next((name for name, count in Counter(names).items() if count > 1), None)
        if twice is not None:
            raise InputError(f"two images are called {twice}; an evaluation tells them apart by folder and name")
        boxes, counted = [], []
        for annotation in dataset.annotations:
            corners = np.concatenate([annotation.boxes, annotation.ignore]).astype(np.float64)
            boxes.append(np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1))
            counted.append(np.arange(len(corners)) < len(annotation.boxes))
        super().__init__(dataset, range(len(dataset)), Truth(list(names), boxes, {level: counted}), area)
