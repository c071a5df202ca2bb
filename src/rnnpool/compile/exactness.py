"""Whether a compiled network computes what its simulator does, to the bit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnpool.integer.head import IntHead
from rnnpool.integer.network import IntNetwork


class InexactError(RuntimeError):
    """A compiled network computed something else than its simulator."""


@dataclass(frozen=True)
class Truth:
    """What the simulator computes for an image: stored outputs (C, H, W), and the detections if there is a head."""

    outputs: list[NDArray[np.int16]]
    detections: NDArray[np.int64] | None  # (n, 5), as ``IntHead.detect`` gives them
    tensors: list[NDArray]  # of all nodes, the outputs among them

    @property
    def numbers(self) -> int:
        """How many numbers the outputs hold."""
        return sum(output.size for output in self.outputs)


def simulate_image(network: IntNetwork, head: IntHead | None, image: NDArray[np.uint8], threshold: int) -> Truth:
    """Bytes (C, H, W) -> what a compiled network has to give; ``threshold`` as ``IntHead.detect`` takes it."""
    tensors: list[NDArray] = []
    outputs = network.run(image, lambda _, value: tensors.append(value))
    return Truth(outputs, None if head is None else head.detect(outputs, threshold), tensors)


def find_difference(
    network: IntNetwork, truth: Truth, outputs: Sequence[NDArray[np.int16]], detections: NDArray[np.int64] | None
) -> str | None:
    """The first thing in which a compiled network's results are not the simulator's, in words; None if all are."""
    for number, wanted, found in zip(network.outputs, truth.outputs, outputs, strict=True):
        wrong = int((wanted != found).sum())
        if wrong:
            return f"{wrong:,} of the {wanted.size:,} numbers of output {network.nodes[number].name} differ"
    if truth.detections is not None and (detections is None or not np.array_equal(truth.detections, detections)):
        count = 0 if detections is None else len(detections)
        return f"detections differ: {count}, where the simulator finds {len(truth.detections)}"
    return None
