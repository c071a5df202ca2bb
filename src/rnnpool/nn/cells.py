"""Recurrent cells for sweeps over feature maps, channels first.

A cell is split where the sweep can share work: calling it gives everything that depends on the input alone, which is
done once per pixel (rnnpool.md, saving (a)); ``step`` is the recurrence. States and projections are (B, channels, n,
I): n windows of each of I lines.

FastGRNN: Kusupati et al., "FastGRNN: A Fast, Accurate, Stable and Tiny Kilobyte Sized Gated Recurrent Neural Network",
NeurIPS 2018, equation 2. GRU and LSTM are those of torch.nn.GRUCell and torch.nn.LSTMCell, gate order included.
"""

import torch
from torch import Tensor, nn

from rnnpool.errors import InputError
from rnnpool.nn.projection import linear, project

GATES = ("smooth", "piecewise")
INITS = ("reference", "orthogonal")
State = tuple[Tensor, ...]


# Asked once: torch.compile cannot follow the question.
_AUTOCASTABLE = frozenset(kind for kind in ("cpu", "cuda", "xpu", "mps") if torch.amp.is_autocast_available(kind))


def autocasting(device: str) -> bool:
    """Whether autocast is on for a device type ("meta" has none)."""
    return device in _AUTOCASTABLE and torch.is_autocast_enabled(device)


class Cell(nn.Module):
    """What a sweep needs of a cell. ``weight_input`` (g*h, d) and ``weight_hidden`` (g*h, h) stack g gates."""

    gate_count: int

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        rows = self.gate_count * hidden_size
        self.weight_input = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hidden = nn.Parameter(torch.empty(rows, hidden_size))

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """(B, d, n, I) -> (B, g*h, n, I): the part of every step that the state does not enter.

        With ``size`` only that many first rows and columns of x are projected. It is ``forward`` for the sake of hooks
        that set weights before it, as those of ``torch.nn.utils.prune``.
        """
        height, width = size or x.shape[2:]
        return project(x, self.weight_input, height, width)

    def step(self, p: Tensor, state: State | None) -> State:
        """One step from the projected input and the state (None: zeros); the first entry of a state is its output."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"


class FastGRNNCell(Cell):
    """h' = z * h + (zeta * (1 - z) + nu) * c with z = sigmoid(W x + U h + b_z), c = tanh(W x + U h + b_h).

    Args:
        gates: "smooth" as above, or "piecewise": clip((x + 1) / 2, 0, 1) and clip(x, -1, 1).
        trainable_mix: zeta and nu become sigmoids of trainable scalars, as in the reference code; otherwise 1 and 0,
            as in the paper.
        init: "reference" draws W, U from 0.1 * N(0, 1) and sets both biases to 1. "orthogonal" makes U orthogonal,
            W ``input_scale`` * N(0, 1), b_h 0 and b_z such that z starts near 0.88, which is 2 for smooth gates: a
            longer memory at the start, which trains faster.
    """

    gate_count = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        gates: str = "smooth",
        trainable_mix: bool = False,
        init: str = "reference",
        input_scale: float = 0.5,
    ) -> None:
        if gates not in GATES:
            raise InputError(f"gates is {gates!r}; it may be one of {', '.join(GATES)}")
        if init not in INITS:
            raise InputError(f"init is {init!r}; it may be one of {', '.join(INITS)}")
        super().__init__(input_size, hidden_size)
        self.gates, self.init, self.input_scale = gates, init, input_scale
        self.bias_gate = nn.Parameter(torch.empty(hidden_size))
        self.bias_candidate = nn.Parameter(torch.empty(hidden_size))
        if trainable_mix:  # sigmoid(+-13.8) are the values that the reference's trained models hold
            self.raw_zeta = nn.Parameter(torch.empty(()))
            self.raw_nu = nn.Parameter(torch.empty(()))
        self.trainable_mix = trainable_mix
        self.reset_parameters()

    def reset_parameters(self) -> None:
        reference = self.init == "reference"
        nn.init.normal_(self.weight_input, std=0.1 if reference else self.input_scale)
        if reference:
            nn.init.normal_(self.weight_hidden, std=0.1)
        else:
            nn.init.orthogonal_(self.weight_hidden)
        # sigmoid(2) is 0.88. A piecewise gate is that at 0.76; at 2 it would be shut, z = 1 without a gradient.
        long_memory = 2.0 if self.gates == "smooth" else 0.76
        nn.init.constant_(self.bias_gate, 1.0 if reference else long_memory)
        nn.init.constant_(self.bias_candidate, 1.0 if reference else 0.0)
        if self.trainable_mix:
            nn.init.constant_(self.raw_zeta, 13.8)
            nn.init.constant_(self.raw_nu, -13.8)

    def mix(self) -> tuple[Tensor | float, Tensor | float]:
        """(zeta, nu)."""
        if self.trainable_mix:
            return torch.sigmoid(self.raw_zeta), torch.sigmoid(self.raw_nu)
        return 1.0, 0.0

    def step(self, p: Tensor, state: State | None) -> State:
        pre = p if state is None else p + linear(self.weight_hidden, state[0])
        z, c = gate_values(pre, self.bias_gate, self.bias_candidate, self.gates)
        fresh = (1 - z) * c
        if self.trainable_mix:
            zeta, nu = self.mix()
            fresh = zeta * fresh + nu * c
        return (fresh if state is None else z * state[0] + fresh,)

    def extra_repr(self) -> str:
        mix = ", trainable_mix=True" if self.trainable_mix else ""
        return f"{super().extra_repr()}, gates={self.gates}{mix}"


def gate_values(pre: Tensor, bias_gate: Tensor, bias_candidate: Tensor, gates: str) -> tuple[Tensor, Tensor]:
    """z and c of FastGRNN from pre-activations (B, h, n, I)."""
    gate, candidate = pre + bias_gate.view(-1, 1, 1), pre + bias_candidate.view(-1, 1, 1)
    if gates == "piecewise":
        return ((gate + 1) / 2).clamp(0, 1), candidate.clamp(-1, 1)
    return torch.sigmoid(gate), torch.tanh(candidate)


class _TorchCell(Cell):
    """GRU and LSTM share their parameters' shapes, and torch's initialisation U(-1/sqrt(h), 1/sqrt(h))."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.bias_input = nn.Parameter(torch.empty(self.gate_count * hidden_size))
        self.bias_hidden = nn.Parameter(torch.empty(self.gate_count * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = self.hidden_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        return super().forward(x, size) + self.bias_input[:, None, None]

    def _hidden(self, p: Tensor, state: State | None) -> Tensor:
        bias = self.bias_hidden[:, None, None]
        return bias.expand_as(p) if state is None else linear(self.weight_hidden, state[0]) + bias


class GRUCell(_TorchCell):
    """torch.nn.GRUCell over channels: gates stacked as reset, update, new."""

    gate_count = 3

    def step(self, p: Tensor, state: State | None) -> State:
        reset_x, update_x, new_x = p.chunk(3, dim=1)
        reset_h, update_h, new_h = self._hidden(p, state).chunk(3, dim=1)
        reset, update = torch.sigmoid(reset_x + reset_h), torch.sigmoid(update_x + update_h)
        new = torch.tanh(new_x + reset * new_h)
        return ((1 - update) * new if state is None else torch.lerp(new, state[0], update),)


class LSTMCell(_TorchCell):
    """torch.nn.LSTMCell over channels: gates stacked as input, forget, cell, output; the state is (h, c)."""

    gate_count = 4

    def step(self, p: Tensor, state: State | None) -> State:
        entry, forget, cell, output = (p + self._hidden(p, state)).chunk(4, dim=1)
        memory = torch.sigmoid(entry) * torch.tanh(cell)
        if state is not None:
            memory = memory + torch.sigmoid(forget) * state[1]
        return torch.sigmoid(output) * torch.tanh(memory), memory


CELLS: dict[str, type[Cell]] = {"fastgrnn": FastGRNNCell, "gru": GRUCell, "lstm": LSTMCell}
