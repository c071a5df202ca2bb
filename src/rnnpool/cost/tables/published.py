"""What the paper prints about cost: Saha et al., NeurIPS 2020, as rnnpool.md section 4 gives it.

Parameters and multiply-adds of the classifiers stand with their architectures (``models.classification.published``).
Here are peak memory and the detectors. Megabytes are MiB, kilobytes KiB: that is how the printed figures come out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rnnpool.models import model_info

MIB, KIB = 1 << 20, 1 << 10

# Standard convention (appendix E.2), float32: base, with RNNPool. ImageNet-10, and MobileNetV1 on ImageNet-1K.
STANDARD_MIB = {
    "mobilenet_v2": (2.29, 0.24),
    "efficientnet_b0": (2.29, 0.25),
    "resnet18": (3.06, 0.38),
    "densenet121": (3.06, 0.77),
    "googlenet": (3.06, 0.78),
    "mobilenet_v1": (3.06, 0.77),
}
VWW_KIB = (250.0, 33.68)  # int8, MobileNetV2 at width 0.35

# Without recomputation (appendix E.1), float32: base, with RNNPool.
WITHOUT_RECOMPUTATION_MIB = {
    "mobilenet_v2": (0.84, 0.24),
    "efficientnet_b0": (0.84, 0.24),
    "resnet18": (0.81, 0.38),
    "densenet121": (2.38, 0.77),
    "googlenet": (1.01, 0.59),
}


@dataclass(frozen=True)
class Detector:
    """A row of the face detection table; None where nothing is printed. ``model`` is ours, None for a rival."""

    name: str
    model: str | None
    peak: float  # bytes
    dtype: str
    parameters: float | None
    madds: float | None


FACES = (
    Detector("EXTD", None, 18.75 * MIB, "float32", 0.07e6, 8.49e9),
    Detector("RNNPool-Face-C", "face-c", 6.44 * MIB, "float32", 1.52e6, 1.80e9),
    Detector("RNNPool-Face-B", "face-b", 1.76 * MIB, "float32", 1.12e6, 1.18e9),
    Detector("EagleEye", None, 1.17 * MIB, "float32", 0.23e6, 0.08e9),
    Detector("RNNPool-Face-A", "face-a", 1.17 * MIB, "float32", 0.06e6, 0.10e9),
    Detector("RNNPool-Face-Quant", "face-quant", 225 * KIB, "int8", 0.07e6, 0.12e9),
    Detector("MCUNetV2-S, later", None, 168 * KIB, "int8", None, 0.11e9),
)

# Cortex-M4 on SCUT-HEAD, 320 x 240 monochrome; "size" is the model's in bytes.
M4_PEAK, M4_MADDS, M4_SIZE = 188 * KIB, 70e6, 160 * KIB
SSDLITE_PEAK, SSDLITE_MADDS, SSDLITE_SIZE = 3.51 * MIB, 540e6, 11.3 * MIB


def published_peak(network: str, dtype: str, shape: Sequence[int]) -> int | None:
    """The peak in bytes that the paper prints for a network of the registry, in that type and at that input shape
    (C, H, W); None if it prints none."""
    kib = {"mobilenet_v2_035": VWW_KIB[0], "mobilenet_v2_035-rnnpool": VWW_KIB[1], "face-m4": M4_PEAK / KIB}
    found = {(name, "int8"): size * KIB for name, size in kib.items()}
    found |= {(row.model, row.dtype): row.peak for row in FACES if row.model is not None}
    for family, (base, small) in STANDARD_MIB.items():
        found |= {(family, "float32"): base * MIB, (f"{family}-rnnpool", "float32"): small * MIB}
    size = found.get((network, dtype))
    return round(size) if size is not None and model_info(network).input_size == tuple(shape) else None
