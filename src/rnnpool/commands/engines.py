"""``--engine``: torch in float, or the integers of ``rnnpool quantize``, by their simulator or as C on this machine."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rnnpool.errors import InputError

if TYPE_CHECKING:
    from rnnpool.classifier import Classifier
    from rnnpool.integer.network import IntNetwork
    from rnnpool.pipeline import FaceDetector

EPILOG = """\
--engine int computes with the integers of rnnpool quantize, as their simulator does; --engine c runs the C that
rnnpool compile writes, which gives the very same results. It is compiled with gcc the first time that an image of some
size comes, and kept in ~/.cache/rnnpool. --weights is then a file of rnnpool quantize.
"""


def add_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        choices=("float", "int", "c"),
        default="float",
        help="what computes: torch in float, or integers (default: float)",
    )


def open_detector(model: str | None, weights: str | None, engine: str) -> "FaceDetector":
    """The detector that ``--model``, ``--weights`` and ``--engine`` ask for."""
    from rnnpool.pipeline import DEFAULT_MODEL, FaceDetector

    if engine == "float":
        if weights is not None and model is None:
            return FaceDetector.from_file(weights)
        return FaceDetector.from_name(model or DEFAULT_MODEL, weights=weights or "default")

    from rnnpool.compile.engine import CDetector
    from rnnpool.integer.detector import IntDetector

    network = _find_integers(model, weights, DEFAULT_MODEL)
    if engine == "int":
        return FaceDetector(IntDetector.of_registry(network))
    detector = CDetector.of_registry(network)
    detector.engine.notify = _notify
    return FaceDetector(detector)


def open_classifier(model: str | None, weights: str | None, engine: str) -> "Classifier":
    """The classifier that ``--model``, ``--weights`` and ``--engine`` ask for."""
    from rnnpool.classifier import DEFAULT_MODEL, Classifier

    if engine == "float":
        if weights is not None and model is None:
            return Classifier.from_file(weights)
        return Classifier.from_name(model or DEFAULT_MODEL, weights or "default")

    from rnnpool.compile.engine import CModule
    from rnnpool.integer.module import IntModule

    network = _find_integers(model, weights, DEFAULT_MODEL)
    if engine == "int":
        return Classifier.of_integers(IntModule(network))
    module = CModule(network)
    module.engine.notify = _notify
    return Classifier.of_integers(module)


def _find_integers(model: str | None, weights: str | None, default: str) -> "IntNetwork":
    """The integers in the file ``weights``, which must be of ``model`` if both are given, or shipped ones.

    Args:
        default: the model of the shipped ones where neither is given.
    """
    from rnnpool.commands.integer_files import shipped_integers
    from rnnpool.integer.storage import load_network
    from rnnpool.models import model_info

    path: str | Path | None = weights
    if path is None:
        name = model_info(model or default).name
        path = shipped_integers(name)
        if path is None:
            raise InputError(f"no integers of {name!r} are shipped; rnnpool quantize {name} makes them, for --weights")
    network = load_network(path)
    if model not in (None, network.name):
        raise InputError(f"{path}: holds integers of model {network.name!r}, not of {model!r}")
    return network


def _notify(what: str) -> None:
    print(f"rnnpool: {what}", file=sys.stderr, flush=True)
