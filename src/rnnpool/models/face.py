"""Face detectors as tables."""

from rnnpool.detection import PointHead
from rnnpool.models.blocks import init_convolutions
from rnnpool.models.detector import Detector, build_stages
from rnnpool.models.neck import PointPredictor, TopDownNeck
from rnnpool.models.registry import register
from rnnpool.models.tables import Conv, Narrow, Pool

# Strides 8, 16, 32, 64. The stem's RNNPool pads 2 zeros a side: 160x120 -> 40x30, cells centred as the head assumes.
FACE_TINY = (
    (
        Conv(8, s=2),
        Pool(16, 16, k=8, s=4, padding=2, init="orthogonal", norm=True),
        Narrow(e=128, c=64, n=2, s=1),
    ),
    (Narrow(e=128, c=80, s=2), Narrow(e=160, c=80)),
    (Narrow(e=160, c=80, s=2),),
    (Narrow(e=96, c=80, s=2), Narrow(e=64, c=80)),
)
FACE_TINY_STRIDES = (8, 16, 32, 64)
FACE_TINY_WIDTH = 32


@register("face-tiny", summary="ours: anchor-free, faces of 8 px to the full height", input_size=(1, 240, 320))
def face_tiny(in_channels: int = 1, input_size: tuple[int, int] = (240, 320)) -> Detector:
    """The default detector: within 100M MAdds, 155k parameters and 64 KiB streamed by rows."""
    stages, widths = build_stages(FACE_TINY, in_channels, "relu")
    neck = TopDownNeck(widths, FACE_TINY_WIDTH, adds=2)
    predictors = [PointPredictor(FACE_TINY_WIDTH) for _ in widths]
    detector = Detector("face-tiny", in_channels, input_size, stages, neck, predictors, PointHead(FACE_TINY_STRIDES))
    init_convolutions(detector)
    for predictor in predictors:
        predictor.init_output()
    return detector
