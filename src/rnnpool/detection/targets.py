"""What a detector is trained on: the boxes of one image and the regions that say nothing."""

from typing import TypedDict

from torch import Tensor


class Target(TypedDict):
    """Annotation of one training image, in its pixels."""

    boxes: Tensor  # (n, 4) float32 xyxy: the objects
    ignore: Tensor  # (m, 4) float32 xyxy: cells and anchors here are neither positive nor negative
