"""A family of networks: one base as a table, and what becomes of it when its early blocks or last pooling change.

Saha et al., NeurIPS 2020, table 1: the blocks between the stem and the first block at 1/16 of the input's size give way
to one layer ("rnnpool", or a rival); the average over the last map gives way to an RNNPool ("last"), or both do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rnnpool.errors import InputError
from rnnpool.models.blocks import init_convolutions
from rnnpool.models.classification.backbone import transfer_backbone
from rnnpool.models.classification.downsampling import PoolOptions, Site, rival, rnnpool
from rnnpool.models.classification.network import Classifier
from rnnpool.models.registry import Builder, register
from rnnpool.models.shapes import output_shape
from rnnpool.models.tables import Row
from rnnpool.nn import RNNPool2d

Rows = Mapping[str, Row]
Size = int | tuple[int, int]
Weights = str | Path | Mapping[str, Tensor]


@dataclass(frozen=True)
class Family:
    """A base network and where RNNPool goes in.

    ``stem``, ``early`` and ``tail`` are rows by the names of the modules they build, separated by blanks. The names are
    torchvision's where it has the network, so that its weights fit.

    Attributes:
        early: what a layer at ``site`` replaces.
        base_stem: the base's stem where it differs.
        head: torchvision's name of the last linear layer.
        torchvision: the network's name there, None if it has none.
    """

    name: str
    title: str
    stem: Rows
    early: Rows
    tail: Rows
    site: Site
    base_stem: Rows | None = None
    act: str = "relu"
    head: str = "classifier"
    torchvision: str | None = None
    num_classes: int = 10
    input_size: int = 224
    dropout: float = 0.2


def build_named(rows: Rows, c_in: int, act: str) -> tuple[dict[str, nn.Module], int]:
    """The rows' modules by name, and the channels of the last one's output."""
    named: dict[str, nn.Module] = {}
    for names, row in rows.items():
        modules, c_in = row.build(c_in, act)
        named |= zip(names.split(), modules, strict=True)
    return named, c_in


def build(
    family: Family,
    middle: str,
    last: bool,
    *,
    num_classes: int,
    in_channels: int,
    input_size: Size,
    dropout: float,
    options: PoolOptions | None = None,
    channels: int | None = None,
    backbone_weights: Weights | None,
) -> Classifier:
    """The network of a family with ``middle`` ("base", "rnnpool" or one of RIVALS) after its stem.

    Args:
        options: of the RNNPool in the middle; None is the family's own.
        channels: of a rival's output; None is as many as the family's own RNNPool has.
        last: the last pooling is an RNNPool with hidden sizes of a quarter of the map's channels.
        backbone_weights: see ``transfer_backbone``.
    """
    options = options or PoolOptions()
    height, width_px = (input_size, input_size) if isinstance(input_size, int) else input_size
    size = (height, width_px)
    width_after = family.site.channels if channels is None else channels
    numbers = {"num_classes": num_classes, "in_channels": in_channels, "channels": width_after}
    for name, value in (numbers | {"input_size": min(size)}).items():
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{name} is {value!r}; it must be a positive integer")
    if middle == "base" and channels is not None:
        raise InputError(f"channels is {channels}; {family.name} has nothing in place of its early blocks to take it")
    stem = family.stem if middle != "base" or family.base_stem is None else family.base_stem
    layers, width = build_named(stem, in_channels, family.act)
    tail = family.tail
    if middle == "base":
        modules, width = build_named(family.early, width, family.act)
        layers |= modules
    elif middle == "rnnpool":
        pools, width = rnnpool(family.site, width, options)
        layers |= dict(zip(_pool_names(options), pools, strict=True))
        tail = _tail_after(family, options.stride)
    else:
        layers |= {"downsample": rival(middle, family.site, width, width_after, family.act)}
        width = width_after
    modules, width = build_named(tail, width, family.act)
    features = nn.Sequential()
    for name, module in (layers | modules).items():
        features.add_module(name, module)
    init_convolutions(features)
    pool: nn.Module = nn.AdaptiveAvgPool2d(1)
    if last:
        _, c, h, w = output_shape(features, (1, in_channels, *size))
        pool = RNNPool2d(c, c // 4, c // 4, (h, w), gates=options.gates, init=options.init)
    network = Classifier(
        features,
        pool,
        width,
        num_classes=num_classes,
        in_channels=in_channels,
        input_size=size,
        fixed_size=last,
        dropout=dropout,
    )
    if not network.classifier.weight.is_meta:
        nn.init.normal_(network.classifier.weight, std=0.01)
        nn.init.zeros_(network.classifier.bias)
    if backbone_weights is not None:
        network.transfer = transfer_backbone(network, backbone_weights, family.torchvision, family.head)
    return network


def _pool_names(options: PoolOptions) -> list[str]:
    names = ["rnnpool", "rnnpool_norm"] if options.norm else ["rnnpool"]
    return [name + suffix for suffix in ("", "2")[: options.repeats] for name in names]


def _tail_after(family: Family, stride: int | None) -> Rows:
    """The tail; a stride of twice the site's takes over the stride 2 of the tail's first row."""
    if stride is None or stride == family.site.stride:
        return family.tail
    names, row = next(iter(family.tail.items()))
    strided: Any = row if getattr(row, "s", 1) == 2 else None
    if strided is None or stride != 2 * family.site.stride:
        choices = [family.site.stride] if strided is None else [family.site.stride, 2 * family.site.stride]
        raise InputError(f"stride is {stride}; {family.name} takes {' or '.join(map(str, choices))}")
    return {**family.tail, names: replace(strided, s=1)}


VARIANTS = {  # the end of the name: what stands after the stem, whether the last pooling is an RNNPool, what to call it
    "": ("base", False, ""),
    "-rnnpool": ("rnnpool", False, ", RNNPool in place of the early blocks"),
    "-last": ("base", True, ", RNNPool as the last pooling"),
    "-rnnpool-last": ("rnnpool", True, ", RNNPool in place of the early blocks and as the last pooling"),
    "-avg": ("avg", False, ", average pooling in place of the early blocks"),
    "-max": ("max", False, ", max pooling in place of the early blocks"),
    "-strided": ("strided", False, ", a strided convolution in place of the early blocks"),
    "-renet": ("renet", False, ", ReNet in place of the early blocks"),
}


def register_family(family: Family, ablations: Mapping[str, PoolOptions] | None = None) -> None:
    """Add the base, its RNNPool versions, its rivals, and ``ablations`` (by the end of their name) to the registry."""
    for ending, (middle, last, summary) in VARIANTS.items():
        register_network(family, family.name + ending, family.title + summary, middle, last)
    for ending, options in (ablations or {}).items():
        summary = f"{family.title + VARIANTS['-rnnpool'][2]}: {ending}"
        register_network(family, f"{family.name}-rnnpool-{ending}", summary, "rnnpool", False, options)


def register_network(
    family: Family, name: str, summary: str, middle: str, last: bool, options: PoolOptions | None = None
) -> None:
    """Add one network of a family to the registry; see ``build`` for ``middle`` and ``last``."""
    builder = (
        _rnnpool_builder(family, last, options or PoolOptions())
        if middle == "rnnpool"
        else _builder(family, middle, last)
    )
    size = (3, family.input_size, family.input_size)
    register(name, summary=summary, task="classification", input_size=size)(builder)


def _builder(family: Family, middle: str, last: bool) -> Builder:
    def builder(
        num_classes: int = family.num_classes,
        in_channels: int = 3,
        input_size: Size = family.input_size,
        dropout: float = family.dropout,
        backbone_weights: Weights | None = None,
        channels: int | None = None,
    ) -> Classifier:
        return build(
            *(family, middle, last),
            num_classes=num_classes,
            in_channels=in_channels,
            input_size=input_size,
            dropout=dropout,
            channels=channels,
            backbone_weights=backbone_weights,
        )

    return builder


def _rnnpool_builder(family: Family, last: bool, base: PoolOptions) -> Builder:
    def builder(
        num_classes: int = family.num_classes,
        in_channels: int = 3,
        input_size: Size = family.input_size,
        dropout: float = family.dropout,
        backbone_weights: Weights | None = None,
        kernel: int | None = base.kernel,
        stride: int | None = base.stride,
        hidden: int | None = base.hidden,
        repeats: int = base.repeats,
        cell: str = base.cell,
        gates: str = base.gates,
        init: str = base.init,
        norm: bool = base.norm,
    ) -> Classifier:
        return build(
            *(family, "rnnpool", last),
            num_classes=num_classes,
            in_channels=in_channels,
            input_size=input_size,
            dropout=dropout,
            options=PoolOptions(kernel, stride, hidden, repeats, cell, gates, init, norm),
            backbone_weights=backbone_weights,
        )

    return builder
