"""A whole small image pooled to one vector at once, then one linear layer: what a single pooling can tell.

Saha et al., NeurIPS 2020, appendix C.1 (lines and shapes, 32 and 64 pixels, with and without 8 convolutions 3x3 of
stride 2 before) and C.2 (CIFAR-10), as rnnpool.md sections 4 and 6 give them. The rivals have as many outputs as the
RNNPool: a convolution as large as the map, or a pooling over it and a 1x1 convolution; both with a ReLU.
"""

from torch import nn

from rnnpool.errors import InputError
from rnnpool.models.classification.network import Classifier
from rnnpool.models.registry import register
from rnnpool.nn import RNNPool2d

RIVALS = {
    "conv": "a convolution as large as the map",
    "avg": "average pooling and a 1x1 convolution",
    "max": "max pooling and a 1x1 convolution",
}


Size = int | tuple[int, int]


def _classifier(
    pool: nn.Module, stem: nn.Sequential, size: Size, width: int, num_classes: int, in_channels: int
) -> Classifier:
    """``stem``, ``pool`` to 1 x 1 pixels of ``width`` channels, the linear layer; torch's own initialisation."""
    return Classifier(
        stem,
        pool,
        width,
        num_classes=num_classes,
        in_channels=in_channels,
        input_size=_pair(size),
        fixed_size=True,
    )


def _stem(convolutions: int, in_channels: int, size: Size) -> tuple[nn.Sequential, int, tuple[int, int]]:
    """The convolutions before the pooling, their channels and the size of their map; none: the image itself."""
    height, width = _pair(size)
    if convolutions == 0:
        return nn.Sequential(), in_channels, (height, width)
    convolution = nn.Conv2d(in_channels, convolutions, 3, stride=2, padding=1)
    return nn.Sequential(convolution, nn.ReLU()), convolutions, ((height + 1) // 2, (width + 1) // 2)


def _pair(size: Size) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 2:
        raise InputError(f"input_size is {size!r}; it must be at least 2 pixels high and wide")
    return height, width


@register(
    "pooled-rnnpool",
    summary="a whole 32x32 image pooled at once by RNNPool, then one linear layer",
    task="classification",
    input_size=(3, 32, 32),
)
def pooled_rnnpool(
    num_classes: int = 10,
    in_channels: int = 3,
    input_size: Size = 32,
    hidden: int = 32,
    hidden2: int | None = None,
    convolutions: int = 0,
    cell: str = "fastgrnn",
    init: str = "orthogonal",
) -> Classifier:
    """RNNPool over the whole map.

    Args:
        hidden, hidden2: state sizes of RNN1 and RNN2; ``hidden2`` None: the same.
        convolutions: number of 3x3 convolutions of stride 2 before it (one layer of so many channels); 0: none.
    """
    stem, channels, area = _stem(convolutions, in_channels, input_size)
    chosen = init if cell == "fastgrnn" else "reference"
    pool = RNNPool2d(channels, hidden, hidden if hidden2 is None else hidden2, area, cell=cell, init=chosen)
    return _classifier(pool, stem, input_size, pool.out_channels, num_classes, in_channels)


def _register_rival(kind: str, what: str) -> None:
    def builder(
        num_classes: int = 10, in_channels: int = 3, input_size: Size = 32, width: int = 128, convolutions: int = 0
    ) -> Classifier:
        stem, channels, area = _stem(convolutions, in_channels, input_size)
        if kind == "conv":
            layers = [nn.Conv2d(channels, width, area), nn.ReLU()]
        else:
            pooling = nn.AvgPool2d(area) if kind == "avg" else nn.MaxPool2d(area)
            layers = [pooling, nn.Conv2d(channels, width, 1), nn.ReLU()]
        return _classifier(nn.Sequential(*layers), stem, input_size, width, num_classes, in_channels)

    summary = f"a whole 32x32 image pooled at once by {what}, then one linear layer"
    register(f"pooled-{kind}", summary=summary, task="classification", input_size=(3, 32, 32))(builder)


for _kind, _what in RIVALS.items():
    _register_rival(_kind, _what)
