"""MobileNetV1: Howard et al., "MobileNets", 2017 (arXiv:1704.04861), table 1, at several widths.

With RNNPool: Saha et al., NeurIPS 2020, table 3 (ImageNet-1K, 4.118M parameters). Width 0.25 at 96 x 96 with two
classes is the Visual Wake Words network of MLPerf Tiny (Banbury et al. 2021, arXiv:2106.07597).
"""

from rnnpool.models.classification.downsampling import Site
from rnnpool.models.classification.family import Family, register_family
from rnnpool.models.registry import model_info, register
from rnnpool.models.tables import Conv, DwPw


def mobilenet_v1(width: float, name: str, title: str, **defaults: int) -> Family:
    """The family at ``width`` times the channels of every layer, RNNPool's output included."""

    def w(c: int) -> int:
        return int(c * width)

    return Family(
        name,
        title,
        stem={"0": Conv(w(32), s=2)},
        early={"1": DwPw(w(64)), "2 3": DwPw(w(128), s=2, n=2), "4": DwPw(w(256), s=2)},
        tail={
            "5": DwPw(w(256)),
            "6": DwPw(w(512), s=2),
            "7 8 9 10 11": DwPw(w(512), n=5),
            "12 13": DwPw(w(1024), s=2, n=2),
        },
        site=Site(kernel=6, hidden=w(16)),
        dropout=0.0,
        **{"num_classes": 1000, **defaults},  # type: ignore[arg-type]
    )


register_family(mobilenet_v1(1.0, "mobilenet_v1", "MobileNetV1"))
register_family(mobilenet_v1(0.75, "mobilenet_v1_075", "MobileNetV1 at width 0.75"))
register_family(mobilenet_v1(0.5, "mobilenet_v1_050", "MobileNetV1 at width 0.5"))
register_family(
    mobilenet_v1(0.25, "mobilenet_v1_025", "MobileNetV1 at width 0.25", num_classes=2, input_size=96),
)
register(
    "mlperf_vww",
    summary="MobileNetV1 at width 0.25, 96 x 96, two classes: the person detector of MLPerf Tiny",
    task="classification",
    input_size=(3, 96, 96),
)(model_info("mobilenet_v1_025").builder)
