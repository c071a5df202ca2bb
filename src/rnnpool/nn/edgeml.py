"""Weights of the reference code, Microsoft EdgeML, for RNNPool2d.

EdgeML (github.com/microsoft/EdgeML, MIT) has RNNPool in ``pytorch/edgeml_pytorch/graph/rnnpool.py`` and its cell in
``rnn.py``. There a cell is registered under every module that uses it, so that a ``state_dict`` holds each tensor of
RNN1 (``cell_rnn``) twice and of RNN2 (``cell_bidirrnn``) three times:

    cell_rnn.cell.W  cell_rnn.unrollRNN.RNNCell.W
    cell_bidirrnn.cell.W  cell_bidirrnn.unrollRNN.RNNCell.W  cell_bidirrnn.unrollRNN.RNNCell_reverse.W

W may be a product of two factors W1, W2 of lower rank, U of U1, U2. Matrices are (hidden, input) in EdgeML's last
versions and were (input, hidden) in earlier ones; biases are (1, hidden), zeta and nu (1, 1), before their sigmoid.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.nn.cells import Cell
from rnnpool.nn.rnnpool2d import RNNPool2d

CELLS = {"cell_rnn": "rnn1", "cell_bidirrnn": "rnn2"}
HOLDERS = ("cell", "unrollRNN.RNNCell", "unrollRNN.RNNCell_reverse", "cell_reverse")
TENSORS = {"W", "W1", "W2", "U", "U1", "U2", "bias_gate", "bias_update", "zeta", "nu"}
_FIXED = 6e-8  # half a unit in the last place of float32 near 1: a mix that no float32 layer can tell from 1 and 0


def load_edgeml_state_dict(
    layer: RNNPool2d, state: Mapping[str, Tensor], prefix: str | None = None, *, inputs_first: bool | None = None
) -> None:
    """Copy an EdgeML RNNPool's parameters into ``layer``.

    A state does not tell the gates (smooth or piecewise), the kernel or the stride: ``layer`` has to be built with
    those the weights were trained for.

    Args:
        layer: a FastGRNN layer of the same sizes; with ``trainable_mix`` unless the state's zeta and nu are 1 and 0 to
            float32 precision.
        state: of the RNNPool or of a network that has one; of other modules' tensors no notice is taken.
        prefix: what stands before ``cell_rnn`` in the names, such as ``"module.rnn_model."``; needed only where the
            state holds several RNNPools.
        inputs_first: whether matrices are (input, hidden), as in EdgeML's earlier versions. None tells it by their
            shapes, which only square ones leave open.

    Raises:
        InputError: names that are missing, doubled with different values or of another kind of cell; shapes that do
            not fit; values that ``layer`` cannot hold. The layer is then unchanged.
    """
    if layer.cell != "fastgrnn":
        raise InputError(f"the layer's cell is {layer.cell!r}; an EdgeML RNNPool needs 'fastgrnn'")
    prefix = _only_prefix(state) if prefix is None else prefix
    cells: dict[str, Cell] = {"cell_rnn": layer.rnn1, "cell_bidirrnn": layer.rnn2}
    found = {name: _distinct_tensors(state, f"{prefix}{name}.") for name in cells}
    layouts = [inputs_first] if inputs_first is not None else [False, True]
    fitting = [layout for layout in layouts if all(_misfit(found[n], cells[n], layout) is None for n in cells)]
    if not fitting:
        misfits = (_misfit(found[name], cells[name], layouts[0], f"{prefix}{name}.") for name in cells)
        raise InputError("; ".join(filter(None, misfits)))
    if len(fitting) > 1:
        raise InputError(
            f"all matrices under {prefix!r} are square, so that their shapes do not tell EdgeML's two layouts apart; "
            "inputs_first must be True for (input, hidden) or False for (hidden, input)"
        )
    new = {f"{CELLS[name]}.{ours}": value for name in cells for ours, value in _mapped(found[name], fitting[0]).items()}
    if not layer.trainable_mix:
        _require_fixed_mix(new, prefix)
    layer.load_state_dict(new)


def _only_prefix(state: Mapping[str, Tensor]) -> str:
    prefixes = sorted({name[: name.index("cell_rnn.")] for name in state if "cell_rnn." in name})
    if not prefixes:
        raise InputError(f"no name holds 'cell_rnn.'; the state has {', '.join(list(state)[:5]) or 'no entries'}, ...")
    if len(prefixes) > 1:
        raise InputError(f"the state holds {len(prefixes)} RNNPools; prefix must be one of {prefixes}")
    return prefixes[0]


def _distinct_tensors(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """EdgeML's name -> tensor of one cell, after a look that all its copies are equal."""
    found: dict[str, tuple[str, Tensor]] = {}
    for full, tensor in state.items():
        if not full.startswith(prefix):
            continue
        holder, _, name = full.removeprefix(prefix).rpartition(".")
        if holder not in HOLDERS or name not in TENSORS:
            raise InputError(f"{full} belongs to no FastGRNN cell; its tensors are {', '.join(sorted(TENSORS))}")
        first, value = found.setdefault(name, (full, tensor))
        if not torch.equal(value, tensor):
            raise InputError(f"{first} and {full} differ; RNNPool2d has one set of weights for both directions")
    for name in ("W", "U"):
        parts = {name} & found.keys() or {f"{name}1", f"{name}2"}
        if parts - found.keys() or (len(parts) == 1 and {f"{name}1", f"{name}2"} & found.keys()):
            raise InputError(f"{prefix}cell must have either {name}, or {name}1 and {name}2; it has {sorted(found)}")
    if missing := {"bias_gate", "bias_update", "zeta", "nu"} - found.keys():
        raise InputError(f"{prefix}cell lacks {', '.join(sorted(missing))}; it has {sorted(found)}")
    return {name: tensor for name, (_, tensor) in found.items()}


def _misfit(tensors: dict[str, Tensor], cell: Cell, inputs_first: bool, prefix: str = "") -> str | None:
    """The first tensor whose shape is not what ``cell`` needs in a layout, in words."""
    hidden, inputs = cell.hidden_size, cell.input_size
    w_rank = tensors["W1"].shape[1 if inputs_first else 0] if "W1" in tensors else 0
    u_rank = tensors["U1"].shape[1 if inputs_first else 0] if "U1" in tensors else 0
    shapes = {"W": (hidden, inputs), "W1": (w_rank, inputs), "W2": (hidden, w_rank)}
    shapes |= {"U": (hidden, hidden), "U1": (u_rank, hidden), "U2": (hidden, u_rank)}
    if inputs_first:
        shapes = {name: shape[::-1] for name, shape in shapes.items()}
    shapes |= {"bias_gate": (1, hidden), "bias_update": (1, hidden), "zeta": (1, 1), "nu": (1, 1)}
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != shapes[name]:
            return f"{prefix}cell.{name} has shape {tuple(tensor.shape)}; the layer needs {shapes[name]}"
    return None


def _mapped(tensors: dict[str, Tensor], inputs_first: bool) -> dict[str, Tensor]:
    """EdgeML's tensors of one cell under FastGRNNCell's names; factors are multiplied out."""

    def matrix(name: str) -> Tensor:
        if name in tensors:
            return tensors[name].T if inputs_first else tensors[name]
        first, second = tensors[f"{name}1"].double(), tensors[f"{name}2"].double()  # rounded once, in the layer
        return (first @ second).T if inputs_first else second @ first

    return {
        "weight_input": matrix("W"),
        "weight_hidden": matrix("U"),
        "bias_gate": tensors["bias_gate"].flatten(),
        "bias_candidate": tensors["bias_update"].flatten(),
        "raw_zeta": tensors["zeta"].squeeze(),
        "raw_nu": tensors["nu"].squeeze(),
    }


def _require_fixed_mix(new: dict[str, Tensor], prefix: str) -> None:
    """Drop zeta and nu, which a layer without ``trainable_mix`` holds as 1 and 0."""
    for theirs, ours in CELLS.items():
        zeta, nu = (torch.sigmoid(new.pop(f"{ours}.{name}").double()).item() for name in ("raw_zeta", "raw_nu"))
        if 1 - zeta > _FIXED or nu > _FIXED:
            raise InputError(
                f"{prefix}{theirs} has zeta {zeta:.8g} and nu {nu:.3g}; a layer with trainable_mix=False holds "
                "1 and 0, so build it with trainable_mix=True"
            )
