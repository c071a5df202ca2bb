"""RNNPool: a pooling layer made of two small recurrent networks.

Saha, Kusupati, Simhadri, Varma, Jain, "RNNPool: Efficient Non-linear Pooling for RAM Constrained Inference",
NeurIPS 2020, section 3 and Algorithm 1. Each r x c patch becomes one vector: RNN1 summarises every row and every
column; RNN2 summarises the row summaries, and the column summaries, in both directions.

Computed for the whole map at once, so that what patches share is done once: W x once a pixel; a row's sweep once for
all patches that contain the row; a column's likewise; W of a summary once. Equal to the patch-by-patch definition up to
rounding, gradients too.
"""

import operator
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnpool.errors import InputError
from rnnpool.nn.cells import CELLS, autocasting
from rnnpool.nn.sweep import sweep
from rnnpool.nn.switch import recorded

OUTPUT_PADDINGS = ("none", "replicate")


class RNNPool2d(nn.Module):
    """Pool every patch of a feature map into 4 * hidden2 channels; a drop-in for ``nn.MaxPool2d``.

    Args:
        in_channels: channels of the input.
        hidden1: state size of RNN1, which sweeps rows and columns of pixels.
        hidden2: state size of RNN2, which sweeps the summaries.
        kernel_size: rows and columns of a patch; an int or a pair (height, width).
        stride: of the patches; defaults to ``kernel_size``.
        padding: zeros added on every side; an int or a pair.
        cell: "fastgrnn" (the paper's), "gru" or "lstm".
        gates: "smooth" or "piecewise", for FastGRNN only.
        output_padding: "replicate" repeats the last row and column of the output once, as the published models do to
            make 27 x 27 into 28 x 28, whatever the size; "none" does not.
        trainable_mix: FastGRNN's zeta and nu as in the reference code instead of 1 and 0.
        init: "reference" or "orthogonal"; see ``FastGRNNCell``.

    Shape:
        (B, in_channels, H, W) -> (B, 4 * hidden2, OH, OW), both also without B; OH = (H + 2 * padding - kernel) //
        stride + 1, plus one with output_padding="replicate"; OW likewise. Channels: rows forward, rows backward,
        columns forward, columns backward.

    Raises:
        InputError: an argument or an input that does not fit; it names the argument, its value and what it may be.
    """

    def __init__(
        self,
        in_channels: int,
        hidden1: int,
        hidden2: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        *,
        cell: str = "fastgrnn",
        gates: str = "smooth",
        output_padding: str = "none",
        trainable_mix: bool = False,
        init: str = "reference",
    ) -> None:
        super().__init__()
        in_channels = _positive("in_channels", in_channels)
        hidden1, hidden2 = _positive("hidden1", hidden1), _positive("hidden2", hidden2)
        if cell not in CELLS:
            raise InputError(f"cell is {cell!r}; it may be one of {', '.join(CELLS)}")
        if cell != "fastgrnn" and (gates != "smooth" or trainable_mix or init != "reference"):
            raise InputError(f"gates, trainable_mix and init belong to FastGRNN; cell is {cell!r}")
        if output_padding not in OUTPUT_PADDINGS:
            raise InputError(f"output_padding is {output_padding!r}; it may be one of {', '.join(OUTPUT_PADDINGS)}")
        self.in_channels, self.hidden1, self.hidden2 = in_channels, hidden1, hidden2
        self.out_channels = 4 * hidden2
        self.kernel_size = _pair("kernel_size", kernel_size, minimum=1)
        self.stride = self.kernel_size if stride is None else _pair("stride", stride, minimum=1)
        self.padding = _pair("padding", padding, minimum=0)
        self.cell, self.gates, self.trainable_mix, self.output_padding = cell, gates, trainable_mix, output_padding
        options = {"gates": gates, "trainable_mix": trainable_mix, "init": init} if cell == "fastgrnn" else {}
        self.rnn1 = CELLS[cell](in_channels, hidden1, **options)
        # RNN2 reads states within [-1, 1] that carry what matters: a smaller input scale keeps it out of saturation.
        self.rnn2 = CELLS[cell](hidden1, hidden2, **options, **({"input_scale": 0.2} if options else {}))

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        return self._pool(x.unsqueeze(0)).squeeze(0) if x.dim() == 3 else self._pool(x)

    def _pool(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W) -> (B, 4*h2, OH, OW)."""
        # A compiler chooses layouts itself, an export of any size cannot know them, and vmap has no answer.
        channels_last = not (torch.compiler.is_compiling() or recorded()) and _channels_last(x)
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        if ph or pw:
            x = F.pad(x, (pw, pw, ph, ph))
        height, width = x.shape[2:]
        if not torch.compiler.is_compiling():  # which would have to divide sizes that vary
            # Rows and columns beyond the last patch are not projected either.
            height, width = (height - kh) // sh * sh + kh, (width - kw) // sw * sw + kw
        p = self.rnn1(x, (height, width))  # (B, h1, H, W)
        rows = sweep(p.transpose(2, 3), self.rnn1, kw, sw)  # (B, h1, OW, H): each row, for every window of columns
        rows = self.rnn2(rows).transpose(2, 3)  # (B, h2, H, OW)
        rows = sweep(rows, self.rnn2, kh, sh, bidirectional=True)  # (B, 2*h2, OH, OW)
        columns = sweep(p, self.rnn1, kh, sh)  # (B, h1, OH, W)
        columns = self.rnn2(columns).transpose(2, 3)  # (B, h2, W, OH)
        columns = sweep(columns, self.rnn2, kw, sw, bidirectional=True)  # (B, 2*h2, OW, OH)
        y = torch.cat([rows, columns.transpose(2, 3)], dim=1)  # (B, 4*h2, OH, OW)
        y = _replicate(y) if self.output_padding == "replicate" else y
        return y.contiguous(memory_format=torch.channels_last) if channels_last else y

    def _check(self, x: Tensor) -> None:
        if x.dim() not in (3, 4) or x.shape[-3] != self.in_channels:
            raise InputError(f"input has shape {tuple(x.shape)}; it must be (B, {self.in_channels}, H, W) or without B")
        own = self.rnn1.weight_input.dtype
        if not x.is_floating_point() or (x.dtype != own and not autocasting(x.device.type)):
            raise InputError(f"input is {x.dtype}; it must be {own} like the layer's parameters, or under autocast")
        sizes = zip(("height", "width"), x.shape[-2:], self.kernel_size, self.padding, strict=True)
        for name, size, kernel, padding in sizes:
            if size + 2 * padding < kernel:
                raise InputError(f"input {name} {size} with padding {padding} is smaller than the kernel's {kernel}")

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.hidden1}, {self.hidden2}", f"kernel_size={self.kernel_size}"]
        parts += [f"stride={self.stride}", f"padding={self.padding}", f"cell={self.cell}"]
        return ", ".join([*parts, f"output_padding={self.output_padding}"])


def _channels_last(x: Tensor) -> bool:
    """Whether x is laid out with channels last and not, as a map of one channel or one pixel can be, both ways."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _replicate(y: Tensor) -> Tensor:
    """The last row and column of (B, c, H, W) once more -> (B, c, H + 1, W + 1)."""
    # Not F.pad: on CUDA the order in which its gradient adds up, and so its last bits, vary from run to run.
    y = torch.cat([y, y[:, :, -1:]], dim=2)
    return torch.cat([y, y[:, :, :, -1:]], dim=3)


def _integer(value: object) -> int:
    """An integer, NumPy's too, as an int; -1, which no argument may be, for anything else."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return -1


def _positive(name: str, value: int) -> int:
    number = _integer(value)
    if number < 1:
        raise InputError(f"{name} is {value!r}; it must be a positive integer")
    return number


def _pair(name: str, value: int | tuple[int, int], minimum: int) -> tuple[int, int]:
    pair = [_integer(entry) for entry in (value if isinstance(value, Sequence) else (value, value))]
    if len(pair) != 2 or min(pair) < minimum:
        raise InputError(f"{name} is {value!r}; it must be an integer >= {minimum} or a pair of them")
    return pair[0], pair[1]
