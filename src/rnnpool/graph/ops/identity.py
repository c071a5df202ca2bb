"""The image, and functions that change nothing in evaluation mode."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from rnnpool.graph.op import Op, Shape
from rnnpool.graph.tracer import Traced, Tracer, lowers


@dataclass(frozen=True)
class Image(Op):
    """Where a graph begins: a camera's (C, H, W), which arrives row by row."""

    kind: ClassVar[str] = "image"
    shape: Shape

    def infer(self, *shapes: Shape) -> Shape:
        return self.shape

    def run(self, *inputs: Tensor) -> Tensor:
        raise AssertionError("the image is given, not computed")


@lowers(
    "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout", "alpha_dropout", "feature_alpha_dropout",
    "contiguous", "detach", "to", "float", "double", "half", "data", "positive", "alias", "type_as",
)  # fmt: skip
def _nothing(tracer: Tracer, input: Traced, *args: object, **kwargs: object) -> Traced:
    return tracer.copy(input) if kwargs.get("copy") else input


@lowers("clone")
def _clone(tracer: Tracer, input: Traced, **kwargs: object) -> Traced:
    return tracer.copy(input)
