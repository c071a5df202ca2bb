"""The one detector: a trunk of stages, an optional neck, a predictor a level, and a head that knows the geometry."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from rnnpool.detection import Detections, Selection, Target, select_detections
from rnnpool.errors import InputError
from rnnpool.models.tables import Row, build_rows


class Head(Protocol):
    """What decodes and trains the maps of a detector: ``PointHead`` or ``S3FDHead``."""

    strides: tuple[int, ...]
    scores_per_cell: tuple[int, ...]
    default_iou_threshold: float  # of ``Selection``, as is the next
    default_vote_iou: float | None

    def decode(self, outputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]: ...

    def loss(self, outputs: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]: ...


class Detector(nn.Module):
    """A fully convolutional detector; ``input_size`` is what it is meant for, not a limit.

    Args:
        name: for messages and cards.
        in_channels: 1 (grey) or 3 (RGB).
        input_size: (H, W).
        stages: per level its rows; the stem is part of the first. The output of each stage feeds the next one, the
            neck, and its level's predictor.
        neck: maps the list of stage outputs to the list that the predictors read; None hands them on.
        predictors: per level (B, C, h, w) -> (B, scores + 4, h, w).
        head: the geometry and losses of the predictions.
    """

    def __init__(
        self,
        name: str,
        in_channels: int,
        input_size: tuple[int, int],
        stages: Sequence[nn.Module],
        neck: nn.Module | None,
        predictors: Sequence[nn.Module],
        head: Head,
    ) -> None:
        super().__init__()
        pair = isinstance(input_size, tuple | list) and len(input_size) == 2
        if not pair or not all(isinstance(side, int) and side > 0 for side in input_size):
            raise InputError(f"input_size is {input_size!r}; it must be (height, width) in pixels")
        self.name = name
        self.in_channels = in_channels
        self.input_size = (input_size[0], input_size[1])  # a recipe's is a list
        self.stages = nn.ModuleList(stages)
        self.neck = neck
        self.predictors = nn.ModuleList(predictors)
        self.head = head

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, in_channels, H, W) of (v - 128) / 128 -> per level (B, scores + 4, H / stride, W / stride)."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        if self.neck is not None:
            features = self.neck(features)
        return [predictor(feature) for predictor, feature in zip(self.predictors, features, strict=True)]

    @property
    def device(self) -> torch.device:
        """Where its weights are; without any, the CPU."""
        return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))

    @torch.no_grad()
    def predict(
        self,
        images: Tensor,
        *,
        score_threshold: float = 0.02,
        iou_threshold: float | None = None,
        max_detections: int = 750,
    ) -> list[Detections]:
        """The objects in each image; the module is used in evaluation mode whatever mode it is in.

        Args:
            images: (B, in_channels, H, W) float32, (v - 128) / 128 for pixel values v in 0..255.
            score_threshold: boxes that score less are dropped before the suppression.
            iou_threshold: of the suppression; None is the head's own.
            max_detections: the most that are returned an image.

        Raises:
            InputError: another number of dimensions or channels, an image smaller than the first layers' kernels, or a
                value that is not finite.
        """
        self._check(images)
        was_training = self.training
        self.eval()
        try:
            boxes, scores = self.head.decode(self(images))
        except InputError as error:  # of a layer, in terms of its own input
            height, width = images.shape[2:]
            raise InputError(f"images of {height} x {width} pixels are too small for {self.name}: {error}") from error
        finally:
            self.train(was_training)
        return select_detections(
            boxes,
            scores,
            Selection(
                score_threshold,
                self.head.default_iou_threshold if iou_threshold is None else iou_threshold,
                max_detections,
                self.head.default_vote_iou,
            ),
        )

    def _check(self, images: Tensor) -> None:
        if images.dim() != 4 or images.shape[1] != self.in_channels:
            shape = tuple(images.shape)
            raise InputError(f"images have shape {shape}; {self.name} takes (B, {self.in_channels}, H, W)")
        finite = images.isfinite().flatten(1).all(dim=1)
        if not finite.all():
            raise InputError(f"image {int((~finite).nonzero()[0])} of the batch holds values that are not finite")
        if 0 in images.shape[2:]:
            raise InputError(f"images have shape {tuple(images.shape)}, which holds no pixels")


def build_stages(rows: Sequence[Sequence[Row]], in_channels: int, act: str) -> tuple[list[nn.Sequential], list[int]]:
    """The stages of a trunk and the channels of each one's output."""
    if not isinstance(in_channels, int) or in_channels < 1:
        raise InputError(f"in_channels is {in_channels!r}; it must be a positive integer: 1 for grey, 3 for RGB")
    stages, widths = [], []
    width = in_channels
    for stage_rows in rows:
        stage, width = build_rows(stage_rows, width, act)
        stages.append(stage)
        widths.append(width)
    return stages, widths
