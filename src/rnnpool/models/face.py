"""Face detectors as tables."""

from rnnpool.detection import PointHead
from rnnpool.models.blocks import init_convolutions
from rnnpool.models.detector import Detector, build_stages
from rnnpool.models.neck import PointPredictor, TopDownNeck
from rnnpool.models.registry import register
from rnnpool.models.tables import Conv, Narrow, Pool, Row

# Strides 8, 16, 32, 64. The stem's RNNPool pads 2 zeros a side: 160x120 -> 40x30, cells centred as the head assumes.
RNNPOOL_STEM = (Conv(8, s=2), Pool(16, 16, k=8, s=4, padding=2, init="orthogonal", norm=True))

# What the RNNPool is compared with: convolutions of stride 2, of the same multiply-adds, and of about the same RAM.
STRIDED_STEM = (Conv(8, s=2), Conv(30, s=2), Conv(64, s=2))
STRIDED_WIDE_STEM = (Conv(16, s=2), Conv(32, s=2), Conv(64, s=2))

FACE_TINY = (
    (Narrow(e=128, c=64, n=2, s=1),),  # behind the stem
    (Narrow(e=128, c=80, s=2), Narrow(e=160, c=80)),
    (Narrow(e=160, c=80, s=2),),
    (Narrow(e=96, c=80, s=2), Narrow(e=64, c=80)),
)
FACE_TINY_STRIDES = (8, 16, 32, 64)
FACE_TINY_WIDTH = 32


def _face_tiny(name: str, stem: tuple[Row, ...], in_channels: int, input_size: tuple[int, int]) -> Detector:
    first, *rest = FACE_TINY
    stages, widths = build_stages(((*stem, *first), *rest), in_channels, "relu")
    neck = TopDownNeck(widths, FACE_TINY_WIDTH, adds=2)
    predictors = [PointPredictor(FACE_TINY_WIDTH) for _ in widths]
    detector = Detector(name, in_channels, input_size, stages, neck, predictors, PointHead(FACE_TINY_STRIDES))
    init_convolutions(detector)
    for predictor in predictors:
        predictor.init_output()
    return detector


@register("face-tiny", summary="ours: anchor-free, faces of 8 px to the full height", input_size=(1, 240, 320))
def face_tiny(in_channels: int = 1, input_size: tuple[int, int] = (240, 320)) -> Detector:
    """The default detector: within 100M MAdds, 155k parameters and 64 KiB streamed by rows."""
    return _face_tiny("face-tiny", RNNPOOL_STEM, in_channels, input_size)


@register(
    "face-tiny-strided",
    summary="face-tiny with convolutions of stride 2 instead of RNNPool, as many multiply-adds",
    input_size=(1, 240, 320),
)
def face_tiny_strided(in_channels: int = 1, input_size: tuple[int, int] = (240, 320)) -> Detector:
    """To compare face-tiny with: 95.3M MAdds to its 95.6M."""
    return _face_tiny("face-tiny-strided", STRIDED_STEM, in_channels, input_size)


@register(
    "face-tiny-strided-wide",
    summary="face-tiny with convolutions of stride 2 instead of RNNPool, as much memory by rows",
    input_size=(1, 240, 320),
)
def face_tiny_strided_wide(in_channels: int = 1, input_size: tuple[int, int] = (240, 320)) -> Detector:
    """To compare face-tiny with: 50.5 KiB of int8 to its 53.2 by plan (5% more on the chip); 109.8M MAdds."""
    return _face_tiny("face-tiny-strided-wide", STRIDED_WIDE_STEM, in_channels, input_size)
