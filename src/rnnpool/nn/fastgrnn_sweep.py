"""FastGRNN's sweep with a hand-written gradient: it stores its input and nothing else.

The backward pass recomputes a window's states: kernel steps of h x h products against keeping three maps of
kernel * n * h numbers. Both passes run in the native kernel (``rnnpool.nn.native``) for float32 and float64 on the
CPU, in Triton kernels (``rnnpool.nn.cuda``) for float32 on CUDA, otherwise in torch operators (any device). A backward
pass that is itself differentiated (``create_graph=True``) always runs in torch operators, which autograd can follow.
``torch.compile`` sees the passes as two operators of its own, so that compiled models run them in the kernels too.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from rnnpool.nn import cuda, native
from rnnpool.nn.cells import FastGRNNCell, autocasting, gate_values
from rnnpool.nn.projection import linear, weight_gradient
from rnnpool.nn.windows import entries

Parameters = Sequence[Tensor]  # weight_hidden, bias_gate, bias_candidate, zeta, nu
Step = tuple[Tensor, Tensor, Tensor]  # z, c and h after a step, each (B, h, n, I)
Window = tuple[int, int, int, str]  # kernel, stride, directions, gates


def fastgrnn_sweep(p: Tensor, cell: FastGRNNCell, kernel: int, stride: int, bidirectional: bool) -> Tensor:
    """See ``rnnpool.nn.sweep.sweep``; under a compiler one opaque operator."""
    values = (cell.weight_hidden, cell.bias_gate, cell.bias_candidate, *cell.mix())
    # A number is filled in on the device: a copy from the host would break the capture of a CUDA graph.
    parameters = [
        value.to(p.device, p.dtype) if isinstance(value, Tensor) else p.new_full((), value) for value in values
    ]
    if torch.compiler.is_compiling():
        # Contiguous, because inductor (2.14) cannot keep a transposed map for the backward pass once sizes vary.
        return _operator(p.contiguous(), parameters, kernel, stride, 1 + bidirectional, cell.gates)
    return FastGRNNSweep.apply(p, *parameters, (kernel, stride, 1 + bidirectional, cell.gates))


class FastGRNNSweep(torch.autograd.Function):
    """``forward_pass`` and ``backward_pass`` as one differentiable operation."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        p, *parameters, window = inputs
        ctx.save_for_backward(p, *parameters)
        ctx.window = window
        return forward_pass(p, parameters, window)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (dy,) = upstream
        p, *parameters = ctx.saved_tensors
        return *backward_pass(p, parameters, dy, ctx.window), None


def forward_pass(p: Tensor, parameters: Parameters, window: Window) -> Tensor:
    """(B, h, L, I) -> (B, directions * h, n, I), in a kernel of the device where there is one."""
    kernel, stride, directions, gates = window
    if native.available(p):
        y = native.forward(p, parameters, kernel, stride, directions, gates == "piecewise")
        if y is not None:
            return y
    if cuda.available(p):
        y = cuda.forward(p, parameters, kernel, stride, directions, gates)
        if y is not None:
            return y
    last = []
    p = p.contiguous()  # a step reads strided slices: the lines have to be next to each other
    for order in _orders(kernel, stride, directions, p):
        for _, _, h in _steps(p, parameters, gates, order):
            state = h
        last.append(state)
    return torch.cat(last, dim=1)


def backward_pass(p: Tensor, parameters: Parameters, dy: Tensor, window: Window) -> tuple[Tensor, ...]:
    """Gradients of p and of each of the parameters."""
    kernel, stride, directions, gates = window
    if native.available(p, dy) and not torch.is_grad_enabled():
        gradients = native.backward(p, parameters, dy, kernel, stride, gates == "piecewise")
        if gradients is not None:
            return gradients
    if cuda.available(p, dy) and not torch.is_grad_enabled():
        gradients = cuda.backward(p, parameters, dy, kernel, stride, gates)
        if gradients is not None:
            return gradients
    # A caller's autocast may be on in here; the states must not feel it.
    device = p.device.type
    with torch.autocast(device, enabled=False) if autocasting(device) else nullcontext():
        return _backward(p.contiguous(), parameters, gates, dy, _orders(kernel, stride, directions, p))


@torch.library.custom_op("rnnpool::fastgrnn_sweep", mutates_args=())
def _operator(p: Tensor, parameters: list[Tensor], kernel: int, stride: int, directions: int, gates: str) -> Tensor:
    # A compiler has to know the strides.
    return forward_pass(p, parameters, (kernel, stride, directions, gates)).contiguous()


@_operator.register_fake
def _(p: Tensor, parameters: list[Tensor], kernel: int, stride: int, directions: int, gates: str) -> Tensor:
    windows = (p.shape[2] - kernel) // stride + 1
    return p.new_empty(p.shape[0], directions * p.shape[1], windows, p.shape[3])


@torch.library.custom_op("rnnpool::fastgrnn_sweep_backward", mutates_args=())
def _backward_operator(
    p: Tensor, parameters: list[Tensor], dy: Tensor, kernel: int, stride: int, directions: int, gates: str
) -> list[Tensor]:
    # Clones, because an operator's results must not share memory and a compiler has to know their strides.
    gradients = backward_pass(p, parameters, dy, (kernel, stride, directions, gates))
    return [gradient.clone(memory_format=torch.contiguous_format) for gradient in gradients]


@_backward_operator.register_fake
def _(
    p: Tensor, parameters: list[Tensor], dy: Tensor, kernel: int, stride: int, directions: int, gates: str
) -> list[Tensor]:
    return [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in (p, *parameters)]


def _setup(ctx: Any, inputs: tuple, output: Tensor) -> None:
    p, parameters, *ctx.window = inputs
    ctx.save_for_backward(p, *parameters)


def _operator_backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    p, *parameters = ctx.saved_tensors
    dp, *gradients = _backward_operator(p, parameters, dy, *ctx.window)
    return dp, gradients, None, None, None, None


_operator.register_autograd(_operator_backward, setup_context=_setup)


def _orders(kernel: int, stride: int, directions: int, p: Tensor) -> list[list[slice]]:
    """For each direction, the slice of dim 2 that every window reads at each step."""
    forward = [entries(p.shape[2], position, kernel, stride) for position in range(kernel)]
    return [forward, forward[::-1]][:directions]


def _steps(p: Tensor, parameters: Parameters, gates: str, order: list[slice]) -> Iterator[Step]:
    weight, bias_gate, bias_candidate, zeta, nu = parameters
    h: Tensor | None = None
    for part in order:
        pre = p[:, :, part] if h is None else p[:, :, part] + linear(weight, h)
        z, c = gate_values(pre, bias_gate, bias_candidate, gates)
        fresh = (zeta + nu - zeta * z) * c
        h = fresh if h is None else torch.addcmul(fresh, z, h)
        yield z, c, h


def _backward(
    p: Tensor, parameters: Parameters, gates: str, dy: Tensor, orders: list[list[slice]]
) -> tuple[Tensor, ...]:
    """Gradients of p and of each parameter; ``dy`` (B, directions * h, n, I)."""
    weight, _, _, zeta, nu = parameters
    # Of dy's kind: is_grads_batched makes it a batch of gradients of one p.
    dp, d_weight = dy.new_zeros(p.shape), torch.zeros_like(weight)
    d_gate_bias, d_candidate_bias = dp.new_zeros(weight.shape[0]), dp.new_zeros(weight.shape[0])
    d_zeta, d_nu = dp.new_zeros(()), dp.new_zeros(())
    for order, dh in zip(orders, dy.chunk(len(orders), dim=1), strict=True):
        steps = list(_steps(p, parameters, gates, order))
        for t in range(len(order) - 1, -1, -1):
            z, c, _ = steps[t]
            before = steps[t - 1][2] if t else torch.zeros_like(z)
            d_gate, d_candidate = dh * (before - zeta * c), dh * (zeta + nu - zeta * z)
            if gates == "piecewise":
                d_gate, d_candidate = d_gate * ((z > 0) & (z < 1)) / 2, d_candidate * (c.abs() < 1)
            else:
                d_gate, d_candidate = d_gate * z * (1 - z), d_candidate * (1 - c * c)
            d_pre = d_gate + d_candidate
            dp[:, :, order[t]] += d_pre
            d_weight = d_weight + weight_gradient(d_pre, before)
            d_gate_bias = d_gate_bias + d_gate.sum((0, 2, 3))
            d_candidate_bias = d_candidate_bias + d_candidate.sum((0, 2, 3))
            d_fresh = dh * c
            d_zeta = d_zeta + d_fresh.sum() - (d_fresh * z).sum()
            d_nu = d_nu + d_fresh.sum()
            if t:
                dh = torch.addcmul(linear(weight.T, d_pre), dh, z)
    return dp, d_weight, d_gate_bias, d_candidate_bias, d_zeta, d_nu
