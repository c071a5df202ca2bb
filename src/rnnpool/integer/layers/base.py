"""What a layer is: a real function with a clipped result, whose result is one stored tensor.

Batch norms, activations and enlargements are part of the layer that their numbers pass through, so that what lies
between two layers is what the integer network stores, and nothing is rounded in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rnnpool.graph import Shape
from rnnpool.integer.tensors import ChannelScales, Quantisation

# Units of the accumulator that an output's unit has at least; arithmetic.to_multiplier wants more than 2.
FINEST = 2.0625


Range = tuple[NDArray[np.float64], NDArray[np.float64]]  # least and greatest, one a unit or channel


class IntOp(Protocol):
    """The integers of a layer: constants, and ``run`` from stored tensors (without a batch) to a stored tensor."""

    @property
    def run(self) -> Any: ...


def straight_through(value: Tensor, real: Tensor) -> Tensor:
    """``value``, whose gradient goes to ``real`` as it is (Bengio, Leonard, Courville 2013)."""
    return value.detach() + (real - real.detach())


@dataclass(eq=False, kw_only=True)
class Layer:
    """Base of the layers.

    Attributes:
        name: that of the graph's node which does the arithmetic.
        inputs: the layers whose results it takes.
        shape: (C, H, W) of its result for the image size that the graph was made for; a vector is (C, 1, 1).
        path: the module it comes from.
        low, high: what its result is clipped to: ReLU is (0, inf), ReLU6 (0, 6).
    """

    name: str
    inputs: tuple[Layer, ...]
    shape: Shape
    path: str
    low: float = float("-inf")
    high: float = float("inf")

    kind: ClassVar[str]
    # The result is made of numbers of the input: it has the input's quantisation, and cannot be clipped by saturation.
    copies: ClassVar[bool] = False

    def real(self, *inputs: Tensor) -> Tensor:
        """Results of the inputs (B, C, H, W), of any height and width -> the result before it is clipped."""
        raise NotImplementedError

    def run(self, *inputs: Tensor) -> Tensor:
        """The layer's result."""
        y = self.real(*inputs)
        if self.low == float("-inf") and self.high == float("inf"):
            return y
        return y.clamp(self.low, self.high)

    def observe(self, *inputs: Tensor) -> None:
        """Take note of what calibration should know of the layer's inside; called before ``run``."""

    def least_scale(self, inputs: Sequence[Quantisation]) -> float:
        """The finest scale that a stored result may have: below it, some input would leave the kernels' 16 bits."""
        return 0.0

    def least_input_scale(self) -> float:
        """The finest scale that its stored inputs may have."""
        return 0.0

    def quantise(self, inputs: Sequence[Quantisation], output: Quantisation) -> IntOp:
        """Its integers, from stored inputs to a stored result."""
        raise NotImplementedError

    def imitate(
        self,
        op: IntOp,
        inputs: Sequence[Quantisation],
        output: Quantisation | ChannelScales,
        *values: Tensor,
    ) -> Tensor:
        """The layer's result by the constants of ``op``, in real numbers that are not yet rounded to ``output``.

        Gradients are those of ``real`` (straight through all rounding). Clips are left to the stored range.

        Args:
            values: results of the inputs (B, C, H, W), multiples of their scales.
        """
        return self.real(*values)

    def observations(self) -> dict[str, Range]:
        """What ``observe`` took note of, by name."""
        return {}

    def recall(self, observations: Mapping[str, Range]) -> None:
        """Take over what another network's layer had noted."""

    @property
    def arrays(self) -> dict[str, NDArray]:
        """Trained constants as float64, for reports."""
        return {}
