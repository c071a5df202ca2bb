"""What a compiled network gives its caller: detections, class scores, or the rows of its outputs.

How the three differ in C is said here for the templates; the head's constants are those of ``rnp_detect.h``.
"""

import json
import re
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnpool.compile.c_text import comma_lines
from rnnpool.compile.pack import round_up
from rnnpool.errors import InputError
from rnnpool.integer.head import POWERS, IntHead
from rnnpool.integer.network import IntNetwork

Kind = Literal["detections", "scores", "rows"]

DETECTION = np.dtype([("box", "<i2", 4), ("score", "<u2"), ("cell", "<u2")])  # rnp_detection
MOST_CELLS = 1 << 16  # a detection names its cell in 16 bits


def kind_of_results(network: IntNetwork, head: IntHead | None) -> Kind:
    """Detections where there is a head, scores where the only output is a vector, else rows."""
    if head is not None:
        return "detections"
    return "scores" if list(network.vectors) == [True] else "rows"


def results_in_c(network: IntNetwork, head: IntHead | None, name: str) -> dict[str, Any]:
    """The templates' words for the results, of a network whose functions begin with ``name``.

    Raises:
        InputError: more cells than a detection can name.
    """
    kind = kind_of_results(network, head)
    results, result, argument = {
        "detections": (
            "rnp_detection *found",
            "found",
            "no array for the detections, no image, or a threshold beyond 0..32768",
        ),
        "scores": ("int16_t *scores", "scores", "no array for the scores, or no image"),
        "rows": (f"{name}_sink sink, void *user", "sink", "no sink, or no image"),
    }[kind]
    return {
        "kind": kind,
        "results": results,
        "result": result,
        "bad_argument": argument,
        "head": head,
        "classes": _classes(network) if kind == "scores" else [],
        "levels": [] if head is None else _levels(network, head),
        "powers": comma_lines(POWERS.tolist()),
    }


def _classes(network: IntNetwork) -> list[str]:
    """What the scores stand for, in their order, as cells of a table in Markdown; nothing where no training said it."""
    names: list[str] = json.loads(network.metadata.get("classes", "[]"))
    return [re.sub(r"([\\`*_<>|\[\]])", r"\\\1", " ".join(name.split())) for name in names]


def _levels(network: IntNetwork, head: IntHead) -> list[dict[str, Any]]:
    """Of each output the multipliers, and the other members of its rnp_detect_level."""
    levels, first = [], 0
    for number, level in zip(network.outputs, head.levels, strict=True):
        channels, height, width = network.nodes[number].shape
        numbers = (level.scores, width, round_up(channels, 2), level.stride, level.half, level.limit, first)
        levels.append({"multipliers": level.multipliers.tolist(), "numbers": numbers})
        first += height * width
    if first > MOST_CELLS:
        raise InputError(f"{network.name} has {first:,} cells; the compiled head names at most {MOST_CELLS:,}")
    return levels


def read_detections(memory: NDArray | bytes, count: int) -> NDArray[np.int64]:
    """The first ``count`` rnp_detection -> (count, 5) x1 y1 x2 y2 score, as ``IntHead.detect`` gives them."""
    stored = np.frombuffer(memory, DETECTION, count)
    return np.column_stack([stored["box"], stored["score"]]).astype(np.int64)
