"""A network of integers: what the C code of a network is made from, and the simulator that it has to equal bit by bit.

Every node stores one tensor: uint8 with a scale and a zero point (``Quantisation``), or int16 with a scale a channel
(``ChannelScales``) where the network ends and nothing needs the tensor small. A node's operator holds all of its
constants; ``compile.pack`` brings them into the order in which the kernels read them.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnpool.errors import InputError
from rnnpool.graph import Shape
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.elementwise import IntAdd, IntMean, IntPad
from rnnpool.integer.l2norm import IntL2Norm
from rnnpool.integer.rnnpool2d import IntRNNPool
from rnnpool.integer.tensors import ChannelScales, Quantisation

Operator = IntConv | IntAdd | IntMean | IntPad | IntL2Norm | IntRNNPool


@dataclass(frozen=True)
class IntNode:
    """One operator in its place.

    Attributes:
        name: that of the graph's node.
        path: the module it comes from.
        op: None for the image.
        inputs: numbers of the nodes that it reads, all smaller than its own.
        shape: (C, H, W) for the image size that the network was made for.
        output: the meaning of the stored result.
    """

    name: str
    path: str
    op: Operator | None
    inputs: tuple[int, ...]
    shape: Shape
    output: Quantisation | ChannelScales

    def run(self, *inputs: NDArray) -> NDArray:
        """Stored inputs (C, H, W) -> the stored result."""
        assert self.op is not None
        if isinstance(self.output, ChannelScales):
            assert isinstance(self.op, IntConv)
            return self.op.run_i16(*inputs)
        return self.op.run(*inputs)


@dataclass(frozen=True)
class IntNetwork:
    """Nodes in an order in which they can run, the image first.

    Attributes:
        name: of the network in the registry, or its class.
        outputs: numbers of the nodes that the network returns, in its order.
        vectors: which of them the network returns as (C,) instead of (C, 1, 1).
        metadata: how it came about: strings, for people.
    """

    name: str
    nodes: tuple[IntNode, ...]
    outputs: tuple[int, ...]
    vectors: tuple[bool, ...]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def image(self) -> IntNode:
        return self.nodes[0]

    def run(self, image: NDArray[np.uint8], watch: Callable[[IntNode, NDArray], None] | None = None) -> list[NDArray]:
        """Execute on the bytes of one image (C, H, W); returns the stored outputs.

        Convolutions, sums and RNNPool take any height and width; a network with a mean or a linear layer only its own.

        Args:
            watch: is shown every node with its stored result.

        Raises:
            InputError: bytes of another type or shape.
        """
        self._check(image)
        uses = np.zeros(len(self.nodes), np.int64)
        for node in self.nodes:
            uses[list(set(node.inputs))] += 1
        uses[list(self.outputs)] += 1
        values: dict[int, NDArray] = {}
        for number, node in enumerate(self.nodes):
            values[number] = node.run(*(values[source] for source in node.inputs)) if node.inputs else image
            if watch is not None:
                watch(node, values[number])
            for source in set(node.inputs):
                uses[source] -= 1
                if not uses[source]:
                    del values[source]
        return [values[number] for number in self.outputs]

    def real_outputs(self, stored: Sequence[NDArray]) -> list[NDArray[np.float64]]:
        """What the stored outputs of one image stand for, in the shapes that the network returns."""
        outputs = zip(stored, self.outputs, self.vectors, strict=True)
        reals = [(self.nodes[number].output.dequantise(value), vector) for value, number, vector in outputs]
        return [real.reshape(-1) if vector else real for real, vector in reals]

    def _check(self, image: NDArray) -> None:
        channels, height, width = self.image.shape
        if image.dtype != np.uint8 or image.ndim != 3 or len(image) != channels or 0 in image.shape:
            raise InputError(
                f"the image is {image.dtype} {image.shape}; {self.name} takes uint8 ({channels}, H, W), such as "
                f"({channels}, {height}, {width})"
            )
        fixed = any(isinstance(node.op, IntMean) for node in self.nodes) or any(self.vectors)
        if fixed and image.shape != self.image.shape:
            raise InputError(f"the image is {image.shape}; {self.name} takes {self.image.shape} only")


def simulate(network: IntNetwork, images: NDArray[np.uint8], keep: Collection[str] | None = None) -> dict[str, NDArray]:
    """Stored tensors of a batch, exactly as the C code computes them.

    Args:
        images: bytes (B, C, H, W).
        keep: names of the nodes whose tensors are wanted; None: the outputs'; () would be nothing.

    Returns:
        Node's name -> (B, C, H, W), uint8 or int16.

    Raises:
        InputError: images of another type or shape, or a name that no node has.
    """
    names = [network.nodes[number].name for number in network.outputs] if keep is None else list(keep)
    known = {node.name for node in network.nodes}
    for name in names:
        if name not in known:
            raise InputError(f"{network.name} has no node {name!r}; it has {', '.join(sorted(known))}")
    kept: dict[str, list[NDArray]] = {name: [] for name in names}

    def watch(node: IntNode, value: NDArray) -> None:
        if node.name in kept:
            kept[node.name].append(value)

    for image in images:
        network.run(image, watch)
    return {name: np.stack(values) for name, values in kept.items()}


def flash_bytes(network: IntNetwork) -> dict[str, int]:
    """Bytes of constants by what they are: weights, gate tables, and biases with multipliers."""
    sizes = {"weights": 0, "gate tables": 0, "biases, scales": 0}
    for node in network.nodes:
        for name, array in _arrays(node.op):
            kind = {"weights": "weights", "hidden": "weights", "gates": "gate tables"}.get(name, "biases, scales")
            halved = name == "weights" and isinstance(node.op, IntConv) and node.op.nibbles
            sizes[kind] += array.nbytes // (2 if halved else 1)
    return sizes


def _arrays(value: object) -> Iterator[tuple[str, NDArray]]:
    """The arrays of an operator that the chip needs, by field; those of floats describe the others."""
    for name, inner in vars(value).items() if dataclasses.is_dataclass(value) else ():
        if isinstance(inner, np.ndarray) and inner.dtype.kind != "f":
            yield name, inner
        else:
            yield from _arrays(inner)
