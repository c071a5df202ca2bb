"""Element-by-element functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Op, Shape
from rnnpool.graph.tracer import Traced, Tracer, lowers

# name -> (function of a tensor and the operator's settings, the settings' names)
FUNCTIONS: dict[str, tuple[Callable[..., Tensor], tuple[str, ...]]] = {
    "relu": (F.relu, ()),
    "relu6": (F.relu6, ()),
    "clip": (torch.clamp, ("low", "high")),
    "leaky_relu": (F.leaky_relu, ("slope",)),
    "silu": (F.silu, ()),
    "sigmoid": (torch.sigmoid, ()),
    "tanh": (torch.tanh, ()),
    "hardswish": (F.hardswish, ()),
    "hardsigmoid": (F.hardsigmoid, ()),
    "gelu": (F.gelu, ()),
    "mish": (F.mish, ()),
    "elu": (F.elu, ("alpha",)),
}


@dataclass(frozen=True)
class Activation(Op):
    """``function`` is a key of FUNCTIONS, ``settings`` its numbers."""

    kind: ClassVar[str] = "activation"
    in_place: ClassVar[bool] = True
    function: str
    settings: tuple[float, ...] = ()

    def infer(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def run(self, *inputs: Tensor) -> Tensor:
        return FUNCTIONS[self.function][0](inputs[0], *self.settings)


def _plain(name: str) -> None:
    @lowers(name)
    def rule(tracer: Tracer, input: Traced, inplace: bool = False) -> Traced:
        return tracer.add(Activation(name), input)


for _name, (_, _settings) in FUNCTIONS.items():
    if not _settings and _name != "gelu":
        _plain(_name)


@lowers("gelu")
def _gelu(tracer: Tracer, input: Traced, approximate: str = "none") -> Traced:
    if approximate != "none":
        raise InputError(f"{tracer.place()}: gelu(approximate={approximate!r}); it may be 'none'")
    return tracer.add(Activation("gelu"), input)


@lowers("leaky_relu")
def _leaky_relu(tracer: Tracer, input: Traced, negative_slope: float = 0.01, inplace: bool = False) -> Traced:
    return tracer.add(Activation("leaky_relu", (negative_slope,)), input)


@lowers("elu")
def _elu(tracer: Tracer, input: Traced, alpha: float = 1.0, inplace: bool = False) -> Traced:
    return tracer.add(Activation("elu", (alpha,)), input)


@lowers("hardtanh")
def _hardtanh(
    tracer: Tracer, input: Traced, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Traced:
    return tracer.add(Activation("clip", (min_val, max_val)), input)


@lowers("clamp", "clip")
def _clamp(tracer: Tracer, input: Traced, min: float | None = None, max: float | None = None) -> Traced:
    if not all(bound is None or isinstance(bound, int | float) for bound in (min, max)):
        raise InputError(f"{tracer.place()}: clamp with bounds that are tensors; they may be numbers")
    low, high = float("-inf") if min is None else float(min), float("inf") if max is None else float(max)
    return tracer.add(Activation("clip", (low, high)), input)
