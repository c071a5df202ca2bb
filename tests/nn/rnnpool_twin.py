"""The slow twin of RNNPool2d: Algorithm 1 of Saha et al. (NeurIPS 2020), one patch and one time step after another.

NumPy float64, no sharing between patches, no torch; it is the definition that the fast layer is compared with. Every
step is an analytic expression (piecewise ones branch on the real part alone), so complex numbers pass through it too,
and a derivative follows from the complex step (Squire and Trapp 1998): d/de f(p + e v) = Im f(p + i h v) / h, with
h = 1e-30, has no cancellation and is exact to the last bits. No line of it is shared with torch's autograd.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
State = tuple[Array, ...]
STEP = 1e-30


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def quant_tanh(x: Array) -> Array:
    return np.where(x.real < -1, -1, np.where(x.real > 1, 1, x))


def quant_sigmoid(x: Array) -> Array:
    return np.where(x.real < -1, 0, np.where(x.real > 1, 1, (x + 1) / 2))


GATES: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "smooth": (sigmoid, np.tanh),
    "piecewise": (quant_sigmoid, quant_tanh),
}


@dataclass(frozen=True)
class Cell:
    """One recurrent cell: its kind, its gates, and its arrays under the layer's parameter names."""

    kind: str
    gates: str
    arrays: Mapping[str, Array]

    @property
    def hidden(self) -> int:
        return self.arrays["weight_hidden"].shape[1]


def fastgrnn_step(cell: Cell, x: Array, state: State) -> State:
    """Kusupati et al. 2018; zeta and nu are sigmoids of trained numbers as in the reference code, or 1 and 0."""
    sig, tanh = GATES[cell.gates]
    p, (h,) = cell.arrays, state
    zeta = sigmoid(p["raw_zeta"]) if "raw_zeta" in p else 1.0
    nu = sigmoid(p["raw_nu"]) if "raw_nu" in p else 0.0
    pre = p["weight_input"] @ x + p["weight_hidden"] @ h
    z = sig(pre + p["bias_gate"])
    g = tanh(pre + p["bias_candidate"])
    return (z * h + (zeta * (1 - z) + nu) * g,)


def gru_step(cell: Cell, x: Array, state: State) -> State:
    """Cho et al. 2014 as torch.nn.GRUCell writes it: rows r, z, n; the reset gate is applied to U_n h + b_hn."""
    sig, tanh = GATES[cell.gates]
    p, (h,) = cell.arrays, state
    input_r, input_z, input_n = np.split(p["weight_input"] @ x + p["bias_input"], 3)
    hidden_r, hidden_z, hidden_n = np.split(p["weight_hidden"] @ h + p["bias_hidden"], 3)
    r = sig(input_r + hidden_r)
    z = sig(input_z + hidden_z)
    n = tanh(input_n + r * hidden_n)
    return ((1 - z) * n + z * h,)


def lstm_step(cell: Cell, x: Array, state: State) -> State:
    """Hochreiter and Schmidhuber 1997 as torch.nn.LSTMCell writes it: rows i, f, g, o; the output is h."""
    sig, tanh = GATES[cell.gates]
    p, (h, c) = cell.arrays, state
    pre = p["weight_input"] @ x + p["bias_input"] + p["weight_hidden"] @ h + p["bias_hidden"]
    i, f, g, o = np.split(pre, 4)
    c = sig(f) * c + sig(i) * tanh(g)
    return (sig(o) * tanh(c), c)


STEPS = {"fastgrnn": fastgrnn_step, "gru": gru_step, "lstm": lstm_step}


def last_state(cell: Cell, sequence: list[Array]) -> Array:
    state: State = tuple(np.zeros(cell.hidden) for _ in range(2 if cell.kind == "lstm" else 1))
    for x in sequence:
        state = STEPS[cell.kind](cell, x, state)
    return state[0]


def pool_patch(patch: Array, rnn1: Cell, rnn2: Cell) -> Array:
    """(channels, rows, columns) -> (4 * h2,): rows forward, rows backward, columns forward, columns backward."""
    _, rows, columns = patch.shape
    row_summaries = [last_state(rnn1, [patch[:, r, c] for c in range(columns)]) for r in range(rows)]
    column_summaries = [last_state(rnn1, [patch[:, r, c] for r in range(rows)]) for c in range(columns)]
    return np.concatenate(
        [
            last_state(rnn2, row_summaries),
            last_state(rnn2, row_summaries[::-1]),
            last_state(rnn2, column_summaries),
            last_state(rnn2, column_summaries[::-1]),
        ]
    )


@dataclass(frozen=True)
class Pool:
    """The layer: patches at every stride over the zero-padded image, VALID; then the replicated row and column."""

    rnn1: Cell
    rnn2: Cell
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)
    replicate: bool = False

    def __call__(self, images: Array) -> Array:
        """(B, C, H, W) -> (B, 4 * h2, OH, OW)."""
        (kh, kw), (sh, sw), (ph, pw) = self.kernel, self.stride, self.padding
        padded = np.pad(images, [(0, 0), (0, 0), (ph, ph), (pw, pw)])
        height, width = padded.shape[2:]
        maps = []
        for image in padded:
            rows = []
            for top in range(0, height - kh + 1, sh):
                lefts = range(0, width - kw + 1, sw)
                rows.append([pool_patch(image[:, top : top + kh, at : at + kw], self.rnn1, self.rnn2) for at in lefts])
            maps.append(rows)
        out = np.array(maps).transpose(0, 3, 1, 2)
        return np.pad(out, [(0, 0), (0, 0), (0, 1), (0, 1)], mode="edge") if self.replicate else out

    def slope(self, images: Array, upstream: Array, where: str, direction: Array) -> float:
        """d/de sum(upstream * self(images)) when the tensor called ``where`` moves by e * direction.

        ``where`` is "images" or like "rnn1.weight_input".
        """
        nudge = 1j * STEP * direction
        if where == "images":
            moved = self(images + nudge)
        else:
            which, name = where.split(".")
            cell: Cell = getattr(self, which)
            cell = replace(cell, arrays={**cell.arrays, name: cell.arrays[name] + nudge})
            moved = replace(self, **{which: cell})(images)
        return float(np.sum(upstream * moved).imag / STEP)


def twin_of(layer: Any) -> Pool:
    """The twin of an RNNPool2d, its parameters widened to float64."""
    cells = []
    for rnn in (layer.rnn1, layer.rnn2):
        arrays = {name: parameter.detach().double().numpy() for name, parameter in rnn.named_parameters()}
        cells.append(Cell(layer.cell, layer.gates, arrays))
    return Pool(*cells, layer.kernel_size, layer.stride, layer.padding, layer.output_padding == "replicate")
