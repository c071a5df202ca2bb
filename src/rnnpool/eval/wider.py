"""Average precision of a detector on WIDER FACE's validation images, at the three levels and on images of few faces."""

from pathlib import Path

from rnnpool.data.wider import WiderFace
from rnnpool.errors import InputError
from rnnpool.eval.evaluation import Detections, Evaluation, Truth, level_curves
from rnnpool.eval.wider_ap import Curve
from rnnpool.eval.wider_truth import read_ground_truth

FEW_FACES = 3


def wider_curves(detections: Detections, truth: Truth) -> dict[str, Curve]:
    """Curves "easy", "medium", "hard", and "easy_few", "medium_few", "hard_few".

    The few columns are RNNPool's "images of at most 3 faces" (NeurIPS 2020): the same protocol on those images
    alone in which at most ``FEW_FACES`` faces are annotated, whether counted at the level or not, as if there were no
    others; scores are normalised over these images.
    """
    few = truth.part([i for i, boxes in enumerate(truth.boxes) if len(boxes) <= FEW_FACES])
    of_few = {f"{level}_few": curve for level, curve in level_curves(detections, few).items()}
    return level_curves(detections, truth) | of_few


class WiderEvaluation(Evaluation):
    """WIDER FACE's validation set, ready to evaluate detectors on; levels as in :func:`wider_curves`.

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
    ):
        truth = read_ground_truth(Path(root))
        dataset = WiderFace(root, "val", channels=channels, cache=cache)
        number = {dataset.name(i): i for i in range(len(dataset))}
        for name in truth.names:
            if name not in number:
                raise InputError(f"{root}: the ground truth lists image {name}; wider_face_val_bbx_gt.txt does not")
        super().__init__(dataset, [number[name] for name in truth.names], truth, area)

    def curves(self, detections: Detections) -> dict[str, Curve]:
        return wider_curves(detections, self.truth)
