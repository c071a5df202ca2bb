"""Rows whose modules are torchvision's own, so that their tensors have the names and shapes of its trained weights.

Each follows the protocol of ``rnnpool.models.tables.Row``. torchvision is imported when a row is built: listing the
networks must not cost it.
"""

from dataclasses import dataclass

from torch import nn

from rnnpool.models.blocks import ACTIVATIONS
from rnnpool.models.tables import Repeated
from rnnpool.nn import RNNPool2d


@dataclass(frozen=True)
class ConvFlat:
    """Convolution k x k to c channels, batch norm, activation: three modules, not one, as ResNet and DenseNet begin."""

    c: int
    k: int = 7
    s: int = 2

    def build(self, c_in: int, act: str) -> tuple[list[nn.Module], int]:
        conv = nn.Conv2d(c_in, self.c, self.k, self.s, padding=self.k // 2, bias=False)
        return [conv, nn.BatchNorm2d(self.c), ACTIVATIONS[act]()], self.c


@dataclass(frozen=True)
class MaxPool:
    """Max pooling k x k."""

    k: int = 3
    s: int = 2
    padding: int = 0
    ceil_mode: bool = False

    def build(self, c_in: int, act: str) -> tuple[list[nn.Module], int]:
        return [nn.MaxPool2d(self.k, self.s, self.padding, ceil_mode=self.ceil_mode)], c_in


@dataclass(frozen=True)
class NormAct:
    """Batch norm and activation, two modules: the end of DenseNet's features."""

    def build(self, c_in: int, act: str) -> tuple[list[nn.Module], int]:
        return [nn.BatchNorm2d(c_in), ACTIVATIONS[act]()], c_in


@dataclass(frozen=True)
class InvertedResidual(Repeated):
    """MobileNetV2's inverted residual [t, c, n, s] (Sandler et al. 2018, table 2); always ReLU6."""

    t: int
    c: int
    n: int = 1
    s: int = 1

    def block(self, c_in: int, stride: int, act: str) -> nn.Module:
        from torchvision.models.mobilenetv2 import InvertedResidual as Block

        return Block(c_in, self.c, stride, self.t)


@dataclass(frozen=True)
class SqueezedInverted:
    """A stage of EfficientNet's MBConvs [t, k, c, n, s]: inverted residual, squeeze and excitation, SiLU.

    Tan, Le 2019 (arXiv:1905.11946). Without stochastic depth, which the RNNPool paper does not mention. One module.
    """

    t: int
    k: int
    c: int
    n: int = 1
    s: int = 1

    def build(self, c_in: int, act: str) -> tuple[list[nn.Module], int]:
        from torchvision.models.efficientnet import MBConv, MBConvConfig

        blocks: list[nn.Module] = []
        for i in range(self.n):
            config = MBConvConfig(self.t, self.k, self.s if i == 0 else 1, c_in, self.c, num_layers=1)
            block = MBConv(config, 0.0, nn.BatchNorm2d)
            block.stochastic_depth = nn.Identity()
            blocks.append(block)
            c_in = self.c
        return [nn.Sequential(*blocks)], self.c


@dataclass(frozen=True)
class Basic:
    """A stage of ResNet's basic blocks [c, n, s]: two 3x3 convolutions beside a shortcut each, in one module.

    He et al. 2016 (arXiv:1512.03385), figure 5 left.
    """

    c: int
    n: int = 2
    s: int = 1

    def build(self, c_in: int, act: str) -> tuple[list[nn.Module], int]:
        from torchvision.models.resnet import BasicBlock

        shortcut = None
        if self.s != 1 or c_in != self.c:
            shortcut = nn.Sequential(nn.Conv2d(c_in, self.c, 1, self.s, bias=False), nn.BatchNorm2d(self.c))
        first = BasicBlock(c_in, self.c, self.s, shortcut)
        return [nn.Sequential(first, *(BasicBlock(self.c, self.c) for _ in range(self.n - 1)))], self.c


@dataclass(frozen=True)
class Dense:
    """A dense block of n layers: each reads all before it and adds 32 channels (Huang et al. 2017, DenseNet-BC)."""

    n: int
    growth: int = 32
    bottleneck: int = 4

    def build(self, c_in: int, act: str) -> tuple[list[nn.Module], int]:
        from torchvision.models.densenet import _DenseBlock

        block = _DenseBlock(self.n, c_in, self.bottleneck, self.growth, drop_rate=0.0)
        return [block], c_in + self.n * self.growth


@dataclass(frozen=True)
class Transition:
    """DenseNet's transition: batch norm, ReLU, 1x1 convolution to c channels, 2x2 average pooling or RNNPool."""

    c: int
    rnnpool: bool = False

    def build(self, c_in: int, act: str) -> tuple[list[nn.Module], int]:
        from torchvision.models.densenet import _Transition

        block = _Transition(c_in, self.c)
        if self.rnnpool:
            block.pool = RNNPool2d(self.c, self.c // 4, self.c // 4, 2, 2)
        return [block], self.c


@dataclass(frozen=True)
class PoolLike:
    """RNNPool2d k x k that keeps the number of channels, in place of an ordinary pooling."""

    k: int = 3
    s: int = 2
    padding: int = 0

    def build(self, c_in: int, act: str) -> tuple[list[nn.Module], int]:
        return [RNNPool2d(c_in, c_in // 4, c_in // 4, self.k, self.s, self.padding)], c_in


@dataclass(frozen=True)
class BasicConv:
    """GoogLeNet's convolution k x k to c channels with batch norm and ReLU."""

    c: int
    k: int
    s: int = 1

    def build(self, c_in: int, act: str) -> tuple[list[nn.Module], int]:
        from torchvision.models.googlenet import BasicConv2d

        return [BasicConv2d(c_in, self.c, kernel_size=self.k, stride=self.s, padding=self.k // 2)], self.c


@dataclass(frozen=True)
class Inception:
    """GoogLeNet's inception block: 1x1; 1x1 then 3x3; 1x1 then 3x3 again; pool then 1x1 (Szegedy et al. 2015, table 1).

    The third branch's 5x5 is a 3x3 in torchvision, whose trained weights this keeps the shapes of.
    """

    c1: int
    reduce3: int
    c3: int
    reduce5: int
    c5: int
    pool: int

    def build(self, c_in: int, act: str) -> tuple[list[nn.Module], int]:
        from torchvision.models.googlenet import Inception as Block

        block = Block(c_in, self.c1, self.reduce3, self.c3, self.reduce5, self.c5, self.pool)
        return [block], self.c1 + self.c3 + self.c5 + self.pool
