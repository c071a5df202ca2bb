"""RNNPool kept whole (``rnnpool.nn.RNNPool2d``; rnnpool.md, section 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.graph.op import Held, Madds, Op, RowRange, Shape, sliding, window
from rnnpool.graph.ops.conv import Pair
from rnnpool.graph.tracer import Traced, Tracer, lowers_module
from rnnpool.nn import RNNPool2d


@dataclass(frozen=True)
class RNNPool(Op):
    """The layer without its output padding, which follows as a ``Pad``."""

    kind: ClassVar[str] = "rnnpool"
    channels: int
    hidden1: int
    hidden2: int
    kernel: Pair
    stride: Pair
    padding: Pair
    cell: str
    gates: int  # products with W and U a step, in units of one: FastGRNN 1, GRU 3, LSTM 4
    padded_outputs: int  # rows and columns that the output padding adds; what the paper's count multiplies
    module: RNNPool2d = field(repr=False, compare=False)

    def infer(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(shape) != 3 or shape[0] != self.channels:
            raise InputError(f"RNNPool of {self.channels} channels is given {shape}")
        height, width = (
            sliding(size, kernel, stride, padding)
            for size, kernel, stride, padding in zip(shape[1:], self.kernel, self.stride, self.padding, strict=True)
        )
        if min(height, width) < 1:
            raise InputError(f"RNNPool with kernel {self.kernel} is given {shape}, which is smaller")
        return 4 * self.hidden2, height, width

    def run(self, *inputs: Tensor) -> Tensor:
        # not by a call: what the module's hooks add was traced, as nodes of its own
        y = self.module.forward(inputs[0])
        return y[..., : -self.padded_outputs, : -self.padded_outputs] if self.padded_outputs else y

    def weights(self) -> Mapping[str, Tensor]:
        return dict(self.module.named_parameters())

    def madds(self, inputs: Sequence[Shape], output: Shape) -> Madds:
        (kh, kw), (h1, h2), k, g = self.kernel, (self.hidden1, self.hidden2), self.channels, self.gates
        _, rows, columns = output
        patch = g * (2 * kh * kw * h1 * (k + h1) + 2 * (kh + kw) * h2 * (h1 + h2))
        padded = (rows + self.padded_outputs) * (columns + self.padded_outputs)
        return Madds(rows * columns * patch, padded * patch // 2, self._shared(rows, columns))

    def _shared(self, rows: int, columns: int) -> int:
        """W once a pixel and once a summary; a sweep once for the patches that share it; a first step needs no U."""
        (kh, kw), (h1, h2), g = self.kernel, (self.hidden1, self.hidden2), self.gates
        height, width = (rows - 1) * self.stride[0] + kh, (columns - 1) * self.stride[1] + kw  # what the patches cover
        project = height * width * self.channels * h1
        sweeps = height * columns * (kw - 1) * h1 * h1 + width * rows * (kh - 1) * h1 * h1
        project2 = (height * columns + width * rows) * h1 * h2
        sweeps2 = rows * columns * 2 * (kh - 1 + kw - 1) * h2 * h2
        return g * (project + sweeps + project2 + sweeps2)

    def rows(self, row: int, which: int, inputs: Sequence[Shape], output: Shape) -> RowRange:
        return window(row, self.kernel[0], self.stride[0], self.padding[0], 1, inputs[0][1])

    def columns(self, inputs: Sequence[Shape], output: Shape) -> int:
        return self.kernel[1]

    def held(self, inputs: Sequence[Shape], output: Shape) -> tuple[Held, ...]:
        """Of each row under an open window its summaries, already times RNN2's W; of each column its running states."""
        open_rows = min(output[1], -(-self.kernel[0] // self.stride[0]))
        open_columns = min(output[2], -(-self.kernel[1] // self.stride[1]))
        states = 2 if self.cell == "lstm" else 1  # the LSTM carries its memory beside its output
        width = (output[2] - 1) * self.stride[1] + self.kernel[1]
        return (
            Held("row summaries", self.kernel[0], output[2], self.gates * self.hidden2, "state", "row"),
            Held("column states", open_rows, width, states * self.hidden1, "state", "window"),
            Held("row sweeps", 1, open_columns, states * self.hidden1, "state", "act"),
            Held("RNN2 states", 1, 2, states * self.hidden2, "state", "act"),
        )


@lowers_module(RNNPool2d)
def _rnnpool(tracer: Tracer, module: RNNPool2d, x: Traced) -> Traced:
    padded = int(module.output_padding == "replicate")
    op = RNNPool(
        module.in_channels,
        module.hidden1,
        module.hidden2,
        module.kernel_size,
        module.stride,
        module.padding,
        module.cell,
        module.rnn1.gate_count,
        padded,
        module,
    )
    y = tracer.add(op, x)
    if padded:
        from rnnpool.graph.ops.pad import Pad

        y = tracer.add(Pad("replicate", (0, 1, 0, 1)), y)
    return y
