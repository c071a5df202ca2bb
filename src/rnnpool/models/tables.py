"""Rows of the architecture tables: what a layer is, without its input width, which the builder threads through.

A network is written as tuples of rows; ``build_rows`` turns them into modules. Counts follow MobileNetV2's tables:
t expansion, c channels, n repeats, s stride of the first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from torch import nn

from rnnpool.models.blocks import ConvNormAct, DepthwiseFirst, MBConv, Separable
from rnnpool.nn import RNNPool2d


class Row(Protocol):
    """One or more layers: given the input's channels and the activation's name, the modules and their channels."""

    def build(self, c_in: int, act: str) -> tuple[list[nn.Module], int]: ...


class Repeated:
    """A row of n blocks to c channels each, the first with stride s; subclasses are dataclasses with these fields."""

    c: int
    n: int
    s: int

    def block(self, c_in: int, stride: int, act: str) -> nn.Module:
        raise NotImplementedError

    def build(self, c_in: int, act: str) -> tuple[list[nn.Module], int]:
        return [self.block(self.c if i else c_in, 1 if i else self.s, act) for i in range(self.n)], self.c


@dataclass(frozen=True)
class Conv(Repeated):
    """Convolution k x k to c channels, batch norm, activation; n times, the first with stride s."""

    c: int
    k: int = 3
    s: int = 1
    n: int = 1

    def block(self, c_in: int, stride: int, act: str) -> nn.Module:
        return ConvNormAct(c_in, self.c, self.k, stride, act=act)


@dataclass(frozen=True)
class DwPw(Repeated):
    """Depthwise 3x3 and 1x1 to c channels, n times, the first with stride s."""

    c: int
    s: int = 1
    n: int = 1

    def block(self, c_in: int, stride: int, act: str) -> nn.Module:
        return Separable(c_in, self.c, stride, act=act)


@dataclass(frozen=True)
class Inverted(Repeated):
    """MBConv [t, c, n, s]."""

    t: int
    c: int
    n: int = 1
    s: int = 1

    def block(self, c_in: int, stride: int, act: str) -> nn.Module:
        return MBConv(c_in, self.t * c_in, self.c, stride, act=act)


@dataclass(frozen=True)
class Narrow(Repeated):
    """DepthwiseFirst with e expanded channels (a count, not a ratio), [e, c, n, s]."""

    e: int
    c: int
    n: int = 1
    s: int = 1

    def block(self, c_in: int, stride: int, act: str) -> nn.Module:
        return DepthwiseFirst(c_in, self.e, self.c, stride, act=act)


@dataclass(frozen=True)
class Pool:
    """RNNPool2d to 4 * h2 channels. ``norm`` adds batch norm; the published models have none (rnnpool.md section 2)."""

    h1: int
    h2: int
    k: int = 8
    s: int = 4
    padding: int = 0
    output_padding: str = "none"
    trainable_mix: bool = False
    init: str = "reference"
    norm: bool = False

    def build(self, c_in: int, act: str) -> tuple[list[nn.Module], int]:
        pool = RNNPool2d(
            c_in,
            self.h1,
            self.h2,
            self.k,
            self.s,
            self.padding,
            output_padding=self.output_padding,
            trainable_mix=self.trainable_mix,
            init=self.init,
        )
        return [pool, nn.BatchNorm2d(pool.out_channels)] if self.norm else [pool], pool.out_channels


def build_rows(rows: Iterable[Row], c_in: int, act: str) -> tuple[nn.Sequential, int]:
    """The layers of the rows in sequence, and the channels of their output."""
    layers: list[nn.Module] = []
    for row in rows:
        modules, c_in = row.build(c_in, act)
        layers += modules
    return nn.Sequential(*layers), c_in
