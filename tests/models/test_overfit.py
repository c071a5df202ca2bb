"""Detectors learn: a few seconds on two synthetic images, then the squares in them are found, and nothing else."""

import pytest
import torch
from torch import Tensor

from rnnpool.detection import PointHead, S3FDHead
from rnnpool.models.blocks import init_convolutions
from rnnpool.models.detector import Detector, build_stages
from rnnpool.models.neck import PointPredictor
from rnnpool.models.s3fd_predictor import S3FDPredictor
from rnnpool.models.tables import Conv, Inverted, Pool

ROWS = ((Conv(8, s=2), Pool(8, 8, k=4, s=2, padding=1, init="orthogonal")), (Inverted(2, 32, s=2),))
STRIDES = (4, 8)
SQUARES = [[[8.0, 8.0, 20.0, 20.0], [36.0, 30.0, 60.0, 54.0]], [[30.0, 6.0, 44.0, 20.0]]]


def detector(kind: str) -> Detector:
    stages, widths = build_stages(ROWS, 1, "relu")
    predictors: list[PointPredictor] | list[S3FDPredictor]
    if kind == "point":
        predictors = [PointPredictor(c) for c in widths]
        model = Detector("small", 1, (64, 64), stages, None, predictors, PointHead(STRIDES))
    else:
        predictors = [S3FDPredictor(c, n, scale) for c, n, scale in zip(widths, (4, 2), (10, None), strict=True)]
        head = S3FDHead(STRIDES, (12, 24), (4, 2), training=kind)
        model = Detector("small", 1, (64, 64), stages, None, predictors, head)
    init_convolutions(model)
    for predictor in predictors:
        predictor.init_output() if isinstance(predictor, PointPredictor) else predictor.init_output(0.05)
    return model


def squares() -> tuple[Tensor, list[dict[str, Tensor]]]:
    images = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(5)) * 0.1
    for image, boxes in zip(images, SQUARES, strict=True):
        for x1, y1, x2, y2 in boxes:
            image[0, int(y1) : int(y2), int(x1) : int(x2)] += 1
    return images, [{"boxes": torch.tensor(boxes), "ignore": torch.zeros(0, 4)} for boxes in SQUARES]


@pytest.mark.parametrize("kind", ["point", "dynamic", "s3fd"])
def test_two_images_are_learnt(kind):
    torch.manual_seed(0)
    model = detector(kind)
    images, targets = squares()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        sum(model.head.loss(model(images), targets).values()).backward()
        optimizer.step()
    for found, boxes in zip(model.predict(images, score_threshold=0.5), SQUARES, strict=True):
        wanted = torch.tensor(boxes)
        assert len(found.boxes) == len(wanted)
        corners = torch.cdist(found.boxes, wanted, p=torch.inf)  # the farthest corner coordinate, pair by pair
        assert sorted(corners.argmin(dim=1).tolist()) == list(range(len(wanted)))
        assert corners.amin(dim=1).max() < 2.5  # pixels
