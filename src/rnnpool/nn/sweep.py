"""Sweeps: the last state of a recurrent cell over every sliding window along one axis of a feature map.

A window's sweep depends only on its line and its start, so windows that overlap across lines share it, and all windows
advance together, one step at a time, through strided views: no window is ever copied (rnnpool.md, saving (b)).

``sweep`` chooses between two forms of the same sum. ``_sweep_steps`` is the definition in plain torch operators: GRU,
LSTM, ``torch.export``, ONNX and ``torch.func`` go through it, and ``torch.compile`` on devices without a kernel.
FastGRNN otherwise goes through ``fastgrnn_sweep``, which keeps nothing but its input for the backward pass and runs in
kernels of the CPU and of CUDA where it can.
"""

import torch
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.nn.cells import Cell, FastGRNNCell, State, autocasting
from rnnpool.nn.fastgrnn_sweep import fastgrnn_sweep
from rnnpool.nn.switch import recorded
from rnnpool.nn.windows import entries

HALF = (torch.bfloat16, torch.float16)


def sweep(p: Tensor, cell: Cell, kernel: int, stride: int, bidirectional: bool = False) -> Tensor:
    """Last states over windows of ``kernel`` positions every ``stride`` along dim 2.

    Args:
        p: (B, g*h, L, I), what ``cell(map)`` gave for a map with the swept axis third and I lines fourth; any
            strides. Under autocast the sweep runs in float32: a state that is a product of many gates needs the
            mantissa.
        cell: the recurrent cell; every window starts from the zero state.
        kernel, stride: in positions; 1 <= kernel <= L, stride >= 1.
        bidirectional: also sweep last to first, with the same weights; those states are the second h channels.

    Returns:
        (B, h or 2*h, n, I), n = (L - kernel) // stride + 1.

    Raises:
        InputError: a shape, kernel or stride other than that.
    """
    channels = cell.gate_count * cell.hidden_size
    if p.dim() != 4 or p.shape[1] != channels:
        raise InputError(f"a projected map has shape {tuple(p.shape)}; it must be (B, {channels}, L, I)")
    if not 1 <= kernel <= p.shape[2] or stride < 1:
        raise InputError(
            f"kernel is {kernel} and stride {stride}; they must be 1 to the length {p.shape[2]}, and at least 1"
        )
    if autocasting(p.device.type):
        with torch.autocast(p.device.type, enabled=False):
            return _sweep(p.float() if p.dtype in HALF else p, cell, kernel, stride, bidirectional)
    return _sweep(p, cell, kernel, stride, bidirectional)


def _sweep(p: Tensor, cell: Cell, kernel: int, stride: int, bidirectional: bool) -> Tensor:
    # On other devices a compiler fuses the steps itself.
    fusing = torch.compiler.is_compiling() and p.device.type not in ("cpu", "cuda")
    if isinstance(cell, FastGRNNCell) and not recorded() and not fusing:
        return fastgrnn_sweep(p, cell, kernel, stride, bidirectional)
    # Of a transposed map torch.export cannot tell how the results of a step lie in memory, once sizes vary.
    p = p.contiguous()
    forward = _sweep_steps(p, cell, kernel, stride, range(kernel))
    if not bidirectional:
        return forward
    return torch.cat([forward, _sweep_steps(p, cell, kernel, stride, range(kernel - 1, -1, -1))], dim=1)


def step_input(p: Tensor, position: int, kernel: int, stride: int) -> Tensor:
    """The view (B, g*h, n, I) of every window's ``position``-th entry."""
    return p[:, :, entries(p.shape[2], position, kernel, stride)]


def _sweep_steps(p: Tensor, cell: Cell, kernel: int, stride: int, order: range) -> Tensor:
    state: State | None = None
    for position in order:
        state = cell.step(step_input(p, position, kernel, stride), state)
    assert state is not None
    return state[0]
