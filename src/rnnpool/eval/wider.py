"""Average precision of a detector on WIDER FACE's validation images, at the three levels and on images of few faces."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rnnpool.data.wider import WiderFace
from rnnpool.errors import InputError
from rnnpool.eval.detector import Options, Progress, detect_all
from rnnpool.eval.wider_ap import Curve, match, precision_recall
from rnnpool.eval.wider_truth import LEVELS, WiderTruth, read_ground_truth
from rnnpool.models.detector import Detector

FEW_FACES = 3


def wider_curves(detections: Mapping[str, np.ndarray], truth: WiderTruth) -> dict[str, Curve]:
    """Curves "easy", "medium", "hard", and "easy_few", "medium_few", "hard_few".

    The few columns are RNNPool's "images of at most 3 faces" (NeurIPS 2020, table 4): the same protocol on the images
    alone in which at most ``FEW_FACES`` faces are annotated, counted or not at the level; scores are normalised over
    these images.

    Args:
        detections: ``EVENT/NAME`` -> (n, 5) x y w h score; an image that is not there has no detections.
    """
    few = np.array([len(boxes) <= FEW_FACES for boxes in truth.boxes], dtype=bool)
    curves = {}
    for suffix, chosen in (("", np.ones_like(few)), ("_few", few)):
        numbers = np.flatnonzero(chosen)
        found = [detections.get(truth.names[i], np.zeros((0, 5))) for i in numbers]
        matches = match(found, [truth.boxes[i] for i in numbers])
        for level in LEVELS:
            counted = [truth.counted[level][i] for i in numbers]
            curves[level + suffix] = precision_recall(matches, np.concatenate([np.zeros(0, dtype=bool), *counted]))
    return curves


class WiderEvaluation:
    """WIDER FACE's validation set, ready to evaluate detectors on.

    Args:
        root: the data set in its standard layout, with the evaluation tools' ``ground_truth`` folder.
        channels: 1 (grey) or 3 (RGB), what the detectors take.
        area: pixels that images are resized to (320 * 240, 640 * 480).
        cache: folder for decoded pixels, or None.

    Raises:
        InputError: a file is missing or malformed, or the ground truth lists an image that the data set lacks.
    """

    def __init__(
        self,
        root: Path,
        *,
        channels: int,
        area: int,
        cache: Path | None = None,
        progress: Progress | None = None,
    ):
        self.truth = read_ground_truth(Path(root))
        self.area = area
        self.dataset = WiderFace(root, "val", channels=channels, cache=cache, progress=progress)
        number = {self.dataset.name(i): i for i in range(len(self.dataset))}
        for name in self.truth.names:
            if name not in number:
                raise InputError(f"{root}: the ground truth lists image {name}; wider_face_val_bbx_gt.txt does not")
        self.indices = [number[name] for name in self.truth.names]

    def detect(
        self, model: Detector, *, options: Options | None = None, progress: Progress | None = None
    ) -> dict[str, np.ndarray]:
        """``EVENT/NAME`` -> float64 (n, 5) x y w h score in original pixels."""
        found = detect_all(model, self.dataset.pixels, self.indices, area=self.area, options=options, progress=progress)
        return dict(zip(self.truth.names, found, strict=True))

    def __call__(self, model: Detector) -> dict[str, float]:
        """Average precision by the names of :func:`wider_curves`; NaN where no face is counted."""
        curves = wider_curves(self.detect(model), self.truth)
        return {name: curve.average_precision for name, curve in curves.items()}
