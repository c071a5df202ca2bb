"""From an integer network to the stages of a streamed execution: what one call of the generated code computes.

Nodes join where that saves memory and costs nothing: two 1x1 convolutions in a row (the tensor between them is then
four pixels at a time); a 1x1 that expands and the depthwise convolution of stride 2 behind it (the rows between them
are then computed two at a time, by groups of channels, and only one is kept); a sum and the convolution whose result it
takes last (it is added in place).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rnnpool.compile.pack import round_up
from rnnpool.cost.steps import NEVER, Read, Step
from rnnpool.errors import InputError
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.elementwise import IntAdd, IntMean, IntPad
from rnnpool.integer.l2norm import IntL2Norm
from rnnpool.integer.network import ChannelScales, IntNetwork, IntNode
from rnnpool.integer.rnnpool2d import IntRNNPool

EXPANSION = 2  # how many times as wide a tensor has to be, that keeping one row of it and one before it saves memory


@dataclass(eq=False, repr=False)  # a generated text would follow every path of the network
class Stage(Step):
    """A step of ``rnnpool.cost`` over integer nodes. Its value is the last node's.

    ``kind`` is "image", "conv", "pair" (two 1x1 convolutions), "expand" (a 1x1 and a depthwise of stride 2), "sums" (a
    3x3 that keeps sums instead of rows), "depthwise", "rnnpool", "add", "mean", "border" or "l2norm". ``added`` is a
    sum that follows in place, ``other`` the stage of its other operand. ``wide`` stages leave int16 rows.
    """

    kind: str = ""
    ints: list[IntNode] = field(default_factory=list)
    added: IntNode | None = None
    other: Stage | None = None
    wide: bool = False

    @property
    def name(self) -> str:
        return self.ints[0].name

    @property
    def last(self) -> IntNode:
        return self.ints[-1] if self.added is None else self.added

    @property
    def dense(self) -> bool:
        """Whether it is fully connected: a 1x1 convolution of one pixel."""
        return self.kind == "conv" and _is_pointwise(self.ints[0]) and self.ints[0].shape[1:] == (1, 1)

    @property
    def nibbles(self) -> bool:
        """Whether its kernel takes weights of 4 bits, and gets some."""
        wanted = self.kind == "pair" or (self.kind == "conv" and _is_pointwise(self.ints[0]) and not self.dense)
        ops = [node.op for node in self.ints]
        return wanted and not self.wide and all(isinstance(op, IntConv) and op.nibbles for op in ops)

    @property
    def rows(self) -> int:
        return self.last.shape[1]

    @property
    def channels(self) -> int:
        return self.last.shape[0]

    @property
    def gives_apart(self) -> bool:
        """Whether a stage that takes rows in gives a row in a call of its own, not in that which takes the last one."""
        return self.kind == "rnnpool"

    def given(self, call: int) -> int | None:
        """The row that a call of the stage's function gives (calls counted from 0), of an output stage."""
        row = call - 1 if self.kind == "sums" else call
        return row if row >= 0 else None

    @property
    def sources(self) -> list[Stage]:
        """The stages that are read, the first operand first."""
        found = [read.source for read in self.reads]
        assert all(isinstance(source, Stage) for source in found)
        return found  # type: ignore[return-value]


def build_stages(network: IntNetwork) -> list[Stage]:
    """Stages in the order of the nodes; the first is the image.

    Raises:
        InputError: an operator without a kernel; it is named.
    """
    return _Builder(network).stages


class _Builder:
    def __init__(self, network: IntNetwork) -> None:
        self.network = network
        self.nodes = network.nodes
        self.readers: list[list[int]] = [[] for _ in self.nodes]
        for number, node in enumerate(self.nodes):
            for source in node.inputs:
                self.readers[source].append(number)
        self.stages: list[Stage] = []
        self.maker: dict[int, Stage] = {}
        for number in range(len(self.nodes)):
            if number not in self.maker:
                self._begin(number)
        for number in network.outputs:
            stage = self.maker[number]
            if stage.last is not self.nodes[number] or not stage.wide:
                raise InputError(f"output {self.nodes[number].name} is no convolution with int16 results")

    def _begin(self, number: int) -> None:
        node = self.nodes[number]
        kind = _kind(node)
        stage = Stage(len(self.stages), [], [], kind=kind, ints=[node], width=node.shape[2])
        self.stages.append(stage)
        self.maker[number] = stage
        if kind == "image":
            return
        last = number
        if (joint := self._expanded(number)) is not None:
            stage.kind, last = "expand", joint
        elif self._sums_up(number):
            stage.kind = "sums"
        elif kind == "conv" and (joint := self._follower(number)) is not None and self._expanded(joint) is None:
            stage.kind, last = "pair", joint
        if last != number:
            stage.ints.append(self.nodes[last])
            stage.width = self.nodes[last].shape[2]
            self.maker[last] = stage
        stage.wide = isinstance(self.nodes[last].output, ChannelScales)
        stage.reads = [self._read(stage, node, which) for which in range(len(node.inputs))]
        if stage.kind in ("conv", "pair", "depthwise") and not stage.wide:
            self._join_sum(stage, last)
        for read in stage.reads:
            read.source.readers.append(stage)

    def _only_reader(self, number: int) -> int | None:
        """The node that alone reads node ``number``, if there is one."""
        if number in self.network.outputs or len(self.readers[number]) != 1:
            return None
        return self.readers[number][0]

    def _follower(self, number: int) -> int | None:
        """The 1x1 convolution that alone reads the 1x1 convolution ``number``, if they are that, of several pixels."""
        reader, node = self._only_reader(number), self.nodes[number]
        if reader is None or not _is_pointwise(node) or node.shape[0] % 4 or node.shape[1:] == (1, 1):
            return None
        return reader if _is_pointwise(self.nodes[reader]) else None

    def _expanded(self, number: int) -> int | None:
        """The depthwise convolution of stride 2 that alone reads the 1x1 convolution ``number``, if that expands.

        Not where the input is a depthwise result, whose rows take no memory as long as none has to wait.
        """
        node, reader = self.nodes[number], self._only_reader(number)
        if reader is None or not _is_pointwise(node):
            return None
        source, op = self.nodes[node.inputs[0]], self.nodes[reader].op
        if node.shape[0] < EXPANSION * source.shape[0] or (isinstance(source.op, IntConv) and source.op.depthwise):
            return None
        return reader if isinstance(op, IntConv) and op.depthwise and op.stride == (2, 2) else None

    def _sums_up(self, number: int) -> bool:
        """Whether a 3x3 convolution's sums (4 bytes each, of two output rows) take no more than two of its input rows.

        At a tie they save time: each input row is gathered once instead of three times.
        """
        node = self.nodes[number]
        op = node.op
        if not isinstance(op, IntConv) or op.depthwise or op.groups > 1 or not isinstance(node.output, ChannelScales):
            return False
        (source,), (_, height, width) = node.inputs, node.shape
        fits = op.weights.shape[2:] == (3, 3) and op.stride == (1, 1) and op.padding == (1, 1) and height > 1
        sums = 4 * round_up(width) * round_up(node.shape[0], 2)
        return fits and self._only_reader(source) == number and sums <= self.nodes[source].shape[0] * width

    def _join_sum(self, stage: Stage, last: int) -> None:
        """Take in the sum that alone reads the stage's result, if its other operand is known earlier."""
        if len(self.readers[last]) != 1 or last in self.network.outputs:
            return
        (reader,) = self.readers[last]
        node = self.nodes[reader]
        if not isinstance(node.op, IntAdd) or node.op.upsample or node.inputs[0] == node.inputs[1]:
            return
        (other,) = (source for source in node.inputs if source != last)
        if other > last:
            return
        stage.added, stage.other = node, self.maker[other]
        self.maker[reader] = stage
        rows = list(range(node.shape[1]))
        stage.reads.append(Read(stage.other, rows, rows))

    def _read(self, stage: Stage, node: IntNode, which: int) -> Read:
        """The input rows that each act of the stage needs."""
        source = self.maker[node.inputs[which]]
        height, rows, op = source.rows, node.shape[1], node.op
        if isinstance(op, IntRNNPool):
            (kernel, _), (stride, _), (padding, _) = op.kernel, op.stride, op.padding
            stage.takes = height
            stage.after = [min(height - 1, row * stride + kernel - 1 - padding) for row in range(rows)]
            if stage.after[0] < 0:
                raise InputError(f"{node.name}: with padding {padding} a row of windows ends above the image")
            return Read(source, list(range(height)), list(range(height)))
        if isinstance(op, IntMean):
            stage.takes, stage.after = height, [height - 1]
            return Read(source, list(range(height)), list(range(height)))
        if isinstance(op, IntAdd):
            half = [row // 2 if op.upsample and which == 1 else row for row in range(rows)]
            return Read(source, half, half)
        if isinstance(op, IntL2Norm):
            return Read(source, list(range(rows)), list(range(rows)))
        if isinstance(op, IntPad):
            moved = [row - op.sides[2] for row in range(rows)]
            inside = [min(height - 1, max(0, row)) for row in moved]
            outside = [not op.replicate and row != near for row, near in zip(moved, inside, strict=True)]
            return Read(source, inside, [NEVER if out else near for out, near in zip(outside, inside, strict=True)])
        assert isinstance(op, IntConv)
        if stage.kind == "sums":  # a row completes the output row above it; the last one has none below it
            stage.takes, stage.after = height, [min(height - 1, row + 1) for row in range(height)]
            return Read(source, list(range(height)), list(range(height)))
        if stage.kind == "expand":  # the row above the two is kept, expanded
            upper = list(range(0, height, 2))
            return Read(source, upper, [min(height - 1, row + 1) for row in upper])
        kernel, stride, padding = op.weights.shape[2], op.stride[0], op.padding[0]
        first = [min(height - 1, max(0, row * stride - padding)) for row in range(rows)]
        last = [min(height - 1, row * stride - padding + kernel - 1) for row in range(rows)]
        return Read(source, first, [row if row >= 0 else NEVER for row in last], kernel)


_KINDS = {IntAdd: "add", IntMean: "mean", IntRNNPool: "rnnpool", IntPad: "border", IntL2Norm: "l2norm"}


def _kind(node: IntNode) -> str:
    op = node.op
    if op is None:
        return "image"
    if isinstance(op, IntConv):
        if not op.depthwise:
            if op.padding[1] > 4:
                raise InputError(f"{node.name}: padding is {op.padding}; at most 4 columns have a kernel")
            return "conv"
        square = op.weights.shape[2:] == (3, 3) and op.padding == (1, 1) and op.stride in ((1, 1), (2, 2))
        if not square or isinstance(node.output, ChannelScales):
            raise InputError(
                f"{node.name}: depthwise {op.weights.shape[2:]} with stride {op.stride} and padding {op.padding}; "
                "3x3 with padding 1, stride 1 or 2 and bytes out has a kernel"
            )
        return "depthwise"
    if isinstance(op, IntPad) and min(op.sides) < 0:
        raise InputError(f"{node.name}: padding is {op.sides}; a crop has no kernel")
    for kind, name in _KINDS.items():
        if isinstance(op, kind):
            return name
    raise InputError(f"{node.name}: operator {type(op).__name__} has no kernel yet")


def _is_pointwise(node: IntNode) -> bool:
    op = node.op
    return (
        isinstance(op, IntConv)
        and not op.depthwise
        and op.groups == 1
        and op.weights.shape[2:] == (1, 1)
        and op.stride == (1, 1)
        and op.padding == (0, 0)
    )
