"""FastGRNN's sweep with a hand-written gradient: it stores its input and nothing else.

The backward pass recomputes a window's states: kernel steps of h x h products against keeping three maps of
kernel * n * h numbers. Both passes run in the native kernel (``rnnpool.nn.native``) for float32 and float64 on the
CPU, otherwise in torch operators (any device). Under autocast the sweep runs in float32: a state that is a product of
many gates needs the mantissa.
"""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnpool.nn import native
from rnnpool.nn.cells import FastGRNNCell, gate_values, linear


class FastGRNNSweep(torch.autograd.Function):
    """See ``rnnpool.nn.sweep.sweep``; differentiable once."""

    @staticmethod
    def of(p: Tensor, cell: FastGRNNCell, kernel: int, stride: int, bidirectional: bool) -> Tensor:
        mix = [torch.as_tensor(value, dtype=p.dtype, device=p.device) for value in cell.mix()]
        parameters = (cell.weight_hidden, cell.bias_gate, cell.bias_candidate, *mix)
        return FastGRNNSweep.apply(p, *parameters, kernel, stride, 1 + bidirectional, cell.gates)

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx, p, weight, bias_gate, bias_candidate, zeta, nu, kernel, stride, directions, gates):
        ctx.save_for_backward(p, weight, bias_gate, bias_candidate, zeta, nu)
        ctx.window = kernel, stride, directions, gates
        if native.available(p):
            values = (t.contiguous() for t in (weight, bias_gate, bias_candidate))
            y = native.forward(p, *values, kernel, stride, directions, gates == "piecewise", float(zeta), float(nu))
            if y is not None:
                return y
        cell = (weight, bias_gate, bias_candidate, zeta, nu, gates)
        return torch.cat([_states(p, cell, order)[-1][2] for order in _orders(kernel, stride, directions, p)], dim=1)

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx, dy):
        p, *cell = ctx.saved_tensors
        kernel, stride, directions, gates = ctx.window
        gradients = None
        if native.available(p):
            weight, bias_gate, bias_candidate, zeta, nu = cell
            values = (t.contiguous() for t in (weight, bias_gate, bias_candidate))
            mix = float(zeta), float(nu)
            gradients = native.backward(p, *values, dy, kernel, stride, gates == "piecewise", *mix)
        if gradients is None:
            gradients = _backward(p, (*cell, gates), dy, _orders(kernel, stride, directions, p))
        return *gradients, None, None, None, None


def _orders(kernel: int, stride: int, directions: int, p: Tensor) -> list[list[slice]]:
    """For each direction, the slice of dim 2 that every window reads at each step."""
    span = (p.shape[2] - kernel) // stride * stride + 1
    forward = [slice(position, position + span, stride) for position in range(kernel)]
    return [forward, forward[::-1]][:directions]


def _states(p: Tensor, cell: tuple, order: list[slice]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """(z, c, h) after every step, each (B, h, n, I)."""
    weight, bias_gate, bias_candidate, zeta, nu, gates = cell
    steps: list[tuple[Tensor, Tensor, Tensor]] = []
    for part in order:
        pre = p[:, :, part] + linear(weight, steps[-1][2]) if steps else p[:, :, part]
        z, c = gate_values(pre, bias_gate, bias_candidate, gates)
        h = (zeta * (1 - z) + nu) * c
        steps.append((z, c, h + z * steps[-1][2] if steps else h))
    return steps


def _backward(p: Tensor, cell: tuple, dy: Tensor, orders: list[list[slice]]) -> tuple[Tensor, ...]:
    weight, _, _, zeta, nu, gates = cell
    dp, d_weight = torch.zeros_like(p), torch.zeros_like(weight)
    d_gate_bias, d_candidate_bias = dp.new_zeros(weight.shape[0]), dp.new_zeros(weight.shape[0])
    d_zeta, d_nu = dp.new_zeros(()), dp.new_zeros(())
    for order, dh in zip(orders, dy.chunk(len(orders), dim=1), strict=True):
        steps = _states(p, cell, order)
        for t in range(len(order) - 1, -1, -1):
            z, c, _ = steps[t]
            before = steps[t - 1][2] if t else torch.zeros_like(z)
            d_gate, d_candidate = dh * (before - zeta * c), dh * (zeta * (1 - z) + nu)
            if gates == "piecewise":
                d_gate, d_candidate = d_gate * ((z > 0) & (z < 1)) / 2, d_candidate * (c.abs() < 1)
            else:
                d_gate, d_candidate = d_gate * z * (1 - z), d_candidate * (1 - c * c)
            d_pre = d_gate + d_candidate
            dp[:, :, order[t]] += d_pre
            d_weight += torch.einsum("bilm,bjlm->ij", d_pre, before)
            d_gate_bias += d_gate.sum((0, 2, 3))
            d_candidate_bias += d_candidate.sum((0, 2, 3))
            d_zeta += (dh * (1 - z) * c).sum()
            d_nu += (dh * c).sum()
            dh = dh * z + linear(weight.T, d_pre)
    return dp, d_weight, d_gate_bias, d_candidate_bias, d_zeta, d_nu
