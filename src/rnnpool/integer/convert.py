"""From a torch module and images to an integer network: every way of choosing ranges is tried, and the best kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rnnpool import __version__
from rnnpool.errors import InputError
from rnnpool.graph import lower
from rnnpool.integer.calibrate import METHODS, observe
from rnnpool.integer.calibrated import Calibrated
from rnnpool.integer.fuse import fuse
from rnnpool.integer.images import batches
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.quantise import quantise
from rnnpool.integer.real_network import RealNetwork
from rnnpool.integer.report import output_sqnr
from rnnpool.integer.widths import set_widths

_HELD_OUT = 4  # every 4th image is not calibrated with, but measures the methods
_MOST_HELD_OUT = 16


@dataclass(frozen=True)
class Conversion:
    """An integer network beside what it was made from.

    Attributes:
        sqnr: of the outputs, in dB, by method: what the choice was made by.
        held_out: the images on which it was measured.
        calibrated: what quantises other weights of the network in the same way.
    """

    real: RealNetwork
    network: IntNetwork
    method: str
    sqnr: dict[str, float]
    held_out: list[NDArray[np.uint8]]
    calibrated: Calibrated


@torch.no_grad()
def convert(
    module: nn.Module,
    input_shape: tuple[int, int, int],
    images: Sequence[NDArray[np.uint8]],
    *,
    method: str | None = None,
    narrow: bool = False,
    nibbles: int = 0,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Conversion:
    """Quantise a network by calibration; its weights stay as they are.

    Args:
        module: in any mode; it is used in evaluation mode.
        input_shape: (C, H, W) of the images that it is meant for.
        images: bytes (C, H, W), of that size where the network takes no other. A fourth of them chooses between the
            methods (of one image, that one).
        method: a key of ``calibrate.METHODS``; None: the one with the least error of the outputs.
        narrow: keep RNNPool's states and summaries in 8 bits between rows; 16 otherwise.
        nibbles: 1x1 convolutions whose results have at most that many pixels get weights of 4 bits (``widths``).
        name: of the network; None: its registry name, or its class.
        metadata: more entries for the file.

    Raises:
        InputError: an operator without integers, no images or other ones than the network takes, an unknown method.
    """
    if method is not None and method not in METHODS:
        raise InputError(f"method is {method!r}; it may be {', '.join(METHODS)}")
    real = fuse(lower(module, input_shape, name=name))
    set_widths(real, narrow=narrow, nibbles=nibbles)
    seen, held_out = _split(images)
    statistics = observe(real, batches(seen))
    sqnr, networks = {}, {}
    for name in METHODS if method is None else (method,):
        networks[name] = quantise(real, statistics, METHODS[name])
        sqnr[name] = output_sqnr(real, networks[name], held_out)
    best = max(sqnr, key=lambda name: sqnr[name])
    calibrated = Calibrated.of(statistics, best, narrow=narrow, nibbles=nibbles)
    return _conversion(real, networks[best], calibrated, sqnr, images, held_out, metadata)


@torch.no_grad()
def convert_calibrated(
    module: nn.Module,
    input_shape: tuple[int, int, int],
    images: Sequence[NDArray[np.uint8]],
    calibrated: Calibrated,
    *,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Conversion:
    """Quantise a network whose ranges are known: those that it was trained with.

    Args:
        images: to measure with; the other arguments are those of ``convert``.

    Raises:
        InputError: an operator without integers, no images, or another network than was calibrated.
    """
    if not images:
        raise InputError("the error of the outputs is measured on at least one image")
    real = fuse(lower(module, input_shape, name=name))
    network = calibrated.quantise(real)
    _, held_out = _split(images)
    sqnr = {calibrated.method: output_sqnr(real, network, held_out)}
    return _conversion(real, network, calibrated, sqnr, images, held_out, metadata)


def _conversion(
    real: RealNetwork,
    network: IntNetwork,
    calibrated: Calibrated,
    sqnr: dict[str, float],
    images: Sequence[NDArray[np.uint8]],
    held_out: list[NDArray[np.uint8]],
    metadata: Mapping[str, str] | None,
) -> Conversion:
    method = calibrated.method
    entries = {
        "rnnpool": __version__,
        "ranges": method,
        "images": str(len(images)),
        "output_sqnr_db": f"{sqnr[method]:.2f}",
        "state_bits": "8" if calibrated.narrow else "16",
    } | ({"nibbles": str(calibrated.nibbles)} if calibrated.nibbles else {})
    network.metadata.update(entries | dict(metadata or {}))
    return Conversion(real, network, method, sqnr, held_out, calibrated)


def _split(images: Sequence[NDArray[np.uint8]]) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Images to calibrate with, and images to measure with."""
    held_out = list(images)[_HELD_OUT - 1 :: _HELD_OUT][:_MOST_HELD_OUT] or list(images)[-1:]
    kept = {id(image) for image in held_out}
    return [image for image in images if id(image) not in kept] or list(images), held_out
