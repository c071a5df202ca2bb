"""What may stand between a network's stem and its later blocks: RNNPool, and the rivals of the paper's table 1.

Each takes the stem's map to a quarter of its height and width (rnnpool.md section 5: "Baselines of the table above").
"""

from dataclasses import dataclass

from torch import nn

from rnnpool.errors import InputError
from rnnpool.models.blocks import ConvNormAct
from rnnpool.nn import RNNPool2d
from rnnpool.nn.renet import ReNet2d

RIVALS = ("avg", "max", "strided", "renet")


@dataclass(frozen=True)
class Site:
    """The place: RNNPool with ``kernel`` and ``hidden`` (both RNNs) gives 4 * hidden channels at a quarter the size."""

    kernel: int
    hidden: int
    stride: int = 4

    @property
    def channels(self) -> int:
        return 4 * self.hidden


def rival(kind: str, site: Site, c_in: int, channels: int, act: str) -> nn.Module:
    """The layer ``kind`` of RIVALS: (B, c_in, H, W) -> (B, channels, H / stride, W / stride)."""
    c, s = channels, site.stride
    if kind in ("avg", "max"):
        pool = nn.AvgPool2d(s, s) if kind == "avg" else nn.MaxPool2d(s, s)
        return nn.Sequential(pool, ConvNormAct(c_in, c, 1, act=act))
    if kind == "strided":
        layer = ConvNormAct(c_in, c, site.kernel, s, act=act)
        conv = layer[0]
        assert isinstance(conv, nn.Conv2d)
        padding = (site.kernel - s) // 2  # a patch every s pixels, centred: H / s of them
        conv.padding = (padding, padding)
        return layer
    if kind == "renet":
        return ReNet2d(c_in, c, s)
    raise InputError(f"downsampling {kind!r} is unknown; it may be one of {', '.join(RIVALS)}")


@dataclass(frozen=True)
class PoolOptions:
    """How the RNNPool in place of the early blocks departs from the family's; None keeps the family's own."""

    kernel: int | None = None
    stride: int | None = None
    hidden: int | None = None
    repeats: int = 1
    cell: str = "fastgrnn"
    gates: str = "smooth"
    init: str = "reference"
    norm: bool = False


def rnnpool(site: Site, c_in: int, options: PoolOptions) -> tuple[list[nn.Module], int]:
    """The RNNPool of the site, as its modules and their output channels.

    Patches that overlap leave one row and column too few; the output is padded by replicating the last ones, as the
    published networks do (112 -> 27 -> 28 with patch 6 and stride 4).

    Two in a row (``repeats=2``) divide the stride evenly and pad the input with zeros, because two replicated paddings
    would miss the size: 112 -> 56 -> 28 with stride 2 each. The paper does not say how it did this (table 16).
    """
    kernel = site.kernel if options.kernel is None else options.kernel
    stride = site.stride if options.stride is None else options.stride
    hidden = site.hidden if options.hidden is None else options.hidden
    if options.repeats not in (1, 2):
        raise InputError(f"repeats is {options.repeats}; it may be 1 or 2")
    padding, output_padding = 0, "replicate" if kernel > stride else "none"
    if options.repeats == 2:
        if stride % 2 or (kernel - stride // 2) % 2 or kernel < stride // 2:
            raise InputError(f"two RNNPools in a row cannot share stride {stride} with patches of {kernel} x {kernel}")
        stride //= 2
        padding, output_padding = (kernel - stride) // 2, "none"
    layers: list[nn.Module] = []
    for _ in range(options.repeats):
        layer = RNNPool2d(
            *(c_in, hidden, hidden, kernel, stride, padding),
            cell=options.cell,
            gates=options.gates,
            init=options.init,
            output_padding=output_padding,
        )
        layers += [layer, nn.BatchNorm2d(layer.out_channels)] if options.norm else [layer]
        c_in = layer.out_channels
    return layers, c_in
