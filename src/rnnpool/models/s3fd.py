"""The RNNPool-Face detectors of the paper and of its code, as tables over one builder (rnnpool.md section 5).

Each follows S3FD (Zhang et al. 2017): a source map a level, the first three L2-normalised, one square anchor a cell.
What the paper leaves open is settled by the parameter counts of the reference code (EdgeML, examples/pytorch/vision/
Face_Detection), which these networks have exactly where it has the network: RNNPool with trainable zeta and nu and a
replicated row and column of output; batch norm behind every convolution of the trunk, ReLU6; biased 3x3 predictors.
"""

from dataclasses import dataclass, replace
from functools import partial

from rnnpool.detection import S3FDHead
from rnnpool.models.blocks import init_convolutions
from rnnpool.models.detector import Detector, build_stages
from rnnpool.models.registry import register
from rnnpool.models.s3fd_predictor import S3FDPredictor
from rnnpool.models.tables import Conv, DwPw, Inverted, Pool, Row

SOURCE_SCALES = (10.0, 8.0, 5.0)  # where the learnt scales of the first three sources start (S3FD, section 3.1)
MAXOUT_SCORES, SCORES = 4, 2  # a cell of the first level, of the others
# What every score starts at: 1:3 is what hard negatives are sampled at; 0.01 is that of focal loss (Lin et al. 2017).
PRIORS = {"s3fd": 0.25, "dynamic": 0.01}


@dataclass(frozen=True)
class S3FDTable:
    """One network: per level its rows (the stem is part of the first), its stride and its anchor's side in pixels."""

    summary: str
    input_size: tuple[int, int, int]  # (C, H, W)
    stages: tuple[tuple[Row, ...], ...]
    strides: tuple[int, ...]
    anchors: tuple[int, ...]
    reduce_first: int | None = None  # S3FDPredictor's ``reduce`` at the first level


def _pool(h: int) -> Pool:
    return Pool(h, h, k=8, s=4, output_padding="replicate", trainable_mix=True)


VGA_STRIDES = (4, 8, 16, 32, 64, 128)
VGA_ANCHORS = (16, 32, 64, 128, 256, 512)
VGA = (3, 480, 640)
QVGA_MONO = (1, 240, 320)

TABLES = {
    # The paper's table has expansion 2 in the last two rows, which makes 0.12M parameters; 1 makes the 0.06M it prints.
    "face-a": S3FDTable(
        "RNNPool-Face-A of the paper",
        VGA,
        (
            (_pool(4), DwPw(16, n=4)),
            (DwPw(16, s=2), Inverted(1, 16, 3)),
            (Inverted(1, 24, 3, 2),),
            (Inverted(1, 32, 2, 2),),
            (Inverted(1, 128, 1, 2),),
            (Inverted(1, 160, 1, 2),),
        ),
        VGA_STRIDES,
        VGA_ANCHORS,
    ),
    "face-b": S3FDTable(
        "RNNPool-Face-B of the paper",
        VGA,
        (
            (_pool(6), Conv(24, n=4)),
            (Conv(96, s=2), Conv(32, k=1), Inverted(6, 32, 3)),
            (Inverted(6, 64, 3, 2),),
            (Inverted(6, 128, 2, 2),),
            (Inverted(6, 160, 1, 2),),
            (Inverted(6, 320, 1, 2),),
        ),
        VGA_STRIDES,
        VGA_ANCHORS,
    ),
    # The first block does not expand: that, not the paper's [6, 24, 2, 1], gives the reference's 1,526,098.
    "face-c": S3FDTable(
        "RNNPool-Face-C of the paper",
        VGA,
        (
            (_pool(16), Inverted(1, 24), Inverted(6, 24)),
            (Inverted(6, 32, 3, 2),),
            (Inverted(6, 64, 4, 2),),
            (Inverted(6, 96, 3, 2),),
            (Inverted(6, 160, 2, 2),),
            (Inverted(6, 320, 1, 2),),
        ),
        VGA_STRIDES,
        VGA_ANCHORS,
    ),
    # The first source lies before RNNPool, at stride 2; its predictor halves it.
    "face-quant": S3FDTable(
        "RNNPool-Face-Quant: 225 KB of int8 maps at 640x480",
        VGA,
        (
            (Conv(4, s=2), Conv(4)),
            (_pool(8), Inverted(2, 16, 4)),
            (Inverted(2, 24, 4, 2),),
            (Inverted(2, 32, 2, 2),),
            (Inverted(2, 64, 1, 2),),
            (Inverted(2, 96, 1, 2),),
        ),
        VGA_STRIDES,
        VGA_ANCHORS,
        reduce_first=8,
    ),
    "face-m4": S3FDTable(
        "RNNPool-Face-M4: heads in a room, on a Cortex-M4",
        QVGA_MONO,
        ((Conv(4, s=2), _pool(16), Inverted(2, 32)), (Inverted(2, 32),), (Inverted(2, 64, s=2),), (Inverted(2, 64),)),
        (8, 8, 16, 16),
        (8, 16, 32, 48),
    ),
    "face-qvga-mono": S3FDTable(
        "RNNPool-Face-QVGA-monochrome: face-m4 with more blocks",
        QVGA_MONO,
        (
            (Conv(4, s=2), _pool(16), Inverted(2, 32, 4)),
            (Inverted(2, 32, 4),),
            (Inverted(2, 96, 3, 2),),
            (Inverted(2, 128, 3),),
        ),
        (8, 8, 16, 16),
        (8, 16, 32, 48),
    ),
}


def build_s3fd(
    name: str,
    in_channels: int | None = None,
    input_size: tuple[int, int] | None = None,
    training: str = "dynamic",
    rnn_init: str = "orthogonal",
) -> Detector:
    """A network of ``TABLES``.

    Args:
        in_channels: 1 (grey) or 3 (RGB); None is the published one. Another number changes the first layer.
        input_size: (H, W) it is meant for; None is the published one. Any size runs.
        training: "dynamic" or "s3fd", the loss; see ``S3FDHead``.
        rnn_init: how RNNPool starts, "orthogonal" or "reference"; see ``FastGRNNCell``.
    """
    table = TABLES[name]
    channels, height, width = table.input_size
    channels = channels if in_channels is None else in_channels
    stages, widths = build_stages([_with_init(rows, rnn_init) for rows in table.stages], channels, "relu6")
    scores = [MAXOUT_SCORES] + [SCORES] * (len(widths) - 1)
    head = S3FDHead(table.strides, table.anchors, scores, training=training)
    predictors = []
    for level, (c, count) in enumerate(zip(widths, scores, strict=True)):
        scale = SOURCE_SCALES[level] if level < len(SOURCE_SCALES) else None
        predictors.append(S3FDPredictor(c, count, scale, table.reduce_first if level == 0 else None))
    detector = Detector(name, channels, input_size or (height, width), stages, None, predictors, head)
    init_convolutions(detector)
    for predictor in predictors:
        predictor.init_output(PRIORS[training])
    return detector


def _with_init(rows: tuple[Row, ...], init: str) -> list[Row]:
    return [replace(row, init=init) if isinstance(row, Pool) else row for row in rows]


for _name, _table in TABLES.items():
    register(_name, summary=_table.summary, input_size=_table.input_size)(partial(build_s3fd, _name))
