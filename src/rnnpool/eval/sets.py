"""The data sets by name: their images, and the evaluation that belongs to them."""

from pathlib import Path
from typing import Literal

from rnnpool.data.scut import ScutHead
from rnnpool.data.wider import WiderFace
from rnnpool.eval.evaluation import BoxesEvaluation, Evaluation
from rnnpool.eval.wider import WiderEvaluation
from rnnpool.eval.wider_truth import has_ground_truth

DatasetName = Literal["wider", "scut"]


def open_images(
    dataset: DatasetName,
    root: Path,
    split: str,
    *,
    channels: int,
    split_seed: int = 0,
    cache: Path | None = None,
) -> WiderFace | ScutHead:
    """Images of one split, "train" or "val"; arguments and errors as for the classes."""
    if dataset == "wider":
        return WiderFace(root, split, channels=channels, cache=cache)
    return ScutHead(root, split, split_seed=split_seed, channels=channels, cache=cache)


def open_evaluation(
    dataset: DatasetName,
    root: Path,
    split: str = "val",
    *,
    channels: int,
    area: int,
    split_seed: int = 0,
    cache: Path | None = None,
) -> Evaluation:
    """The evaluation of one split.

    WIDER FACE's val split is measured by the official protocol, where the evaluation tools' files are there. All others
    (SCUT-HEAD, a train split, a user's own photos in WIDER FACE's layout) have one level, "mAP", that counts every
    valid face.
    """
    if dataset == "wider" and split == "val" and has_ground_truth(root):
        return WiderEvaluation(root, channels=channels, area=area, cache=cache)
    images = open_images(dataset, root, split, channels=channels, split_seed=split_seed, cache=cache)
    return BoxesEvaluation(images, [images.name(i) for i in range(len(images))], area=area)
