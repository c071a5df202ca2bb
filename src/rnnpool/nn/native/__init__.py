"""The fused C++ sweep and projection: built on first use with the machine's own compiler, absent without complaint.

``status()`` says which path sweeps take and why; ``disabled()`` turns it off for a block of code, as tests and
benchmarks do, and the kernels for CUDA (``rnnpool.nn.cuda``) with it. The library is plain C (no PyTorch headers);
``build`` compiles, caches and loads it.
"""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from rnnpool.nn import cuda
from rnnpool.nn.native.build import library
from rnnpool.nn.switch import disabled, enabled, readable

__all__ = ["available", "backward", "disabled", "forward", "project", "project_backward", "status"]

_SUFFIX = {torch.float32: "f32", torch.float64: "f64"}


class _Problem(ctypes.Structure):
    """Mirror of ``struct Problem`` in sweep.cpp."""

    _fields_ = (
        [(name, ctypes.c_int64) for name in ("images", "channels", "length", "lines", "kernel", "stride", "windows")]
        + [(f"p_{name}", ctypes.c_int64) for name in ("image", "channel", "position", "line")]
        + [(f"y_{name}", ctypes.c_int64) for name in ("image", "channel", "window", "line")]
        + [(f"dp_{name}", ctypes.c_int64) for name in ("image", "channel", "position", "line")]
        + [(name, ctypes.c_int32) for name in ("directions", "piecewise", "threads")]
        + [(name, ctypes.c_double) for name in ("zeta", "nu")]
    )


class _Projection(ctypes.Structure):
    """Mirror of ``struct Projection`` in projection.cpp."""

    _fields_ = (
        [(name, ctypes.c_int64) for name in ("images", "inputs", "outputs", "rows", "columns")]
        + [(f"{tensor}_{name}", ctypes.c_int64) for tensor in ("x", "p", "dx") for name in ("image", "channel", "row")]
        + [(name, ctypes.c_int64) for name in ("dx_rows", "dx_columns")]
        + [("threads", ctypes.c_int32)]
    )


def status(device: str = "cpu") -> str:
    """Which path FastGRNN sweeps take on "cpu" or "cuda", and why; one line."""
    if torch.device(device).type == "cuda":
        return cuda.status()
    if not enabled():
        return "torch: the native sweep is disabled by rnnpool.nn.native.disabled()"
    loaded, why = library()
    return f"native: {why}" if loaded else f"torch: {why}"


def available(p: Tensor, *others: Tensor) -> bool:
    """Whether a sweep of p, with others, can run natively (CPU, float32 or float64, a compiled library)."""
    return (
        enabled()
        and p.device.type == "cpu"
        and p.dtype in _SUFFIX
        and readable(p, *others)
        and library()[0] is not None
    )


def forward(
    p: Tensor, parameters: Sequence[Tensor], kernel: int, stride: int, directions: int, piecewise: bool
) -> Tensor | None:
    """(B, h, L, I) -> (B, directions * h, windows, I), or None where only the torch path is exact.

    ``parameters`` are weight_hidden (h, h), bias_gate (h,), bias_candidate (h,), zeta () and nu (), all of p's dtype.
    None comes back when |bias_candidate - bias_gate| > 20 for some unit: the kernel takes both gates from one
    exponential, which would then lose the gate.
    """
    windows = (p.shape[2] - kernel) // stride + 1
    y = p.new_empty(p.shape[0], directions * p.shape[1], windows, p.shape[3])
    problem = _problem(p, y, p, parameters, kernel, stride, piecewise)
    return y if _call("forward", problem, p, *_dense(parameters), y) else None


def backward(
    p: Tensor, parameters: Sequence[Tensor], dy: Tensor, kernel: int, stride: int, piecewise: bool
) -> tuple[Tensor, ...] | None:
    """Gradients of p and of each of the parameters; None as in ``forward``."""
    h = p.shape[1]
    dp = torch.empty_like(p)
    sums = p.new_empty(h * h + 2 * h + 2)
    problem = _problem(p, dy, dp, parameters, kernel, stride, piecewise)
    if not _call("backward", problem, p, *_dense(parameters), dy, dp, sums):
        return None
    d_weight, d_gate, d_candidate, d_zeta, d_nu = sums.split([h * h, h, h, 1, 1])
    return dp, d_weight.view(h, h), d_gate, d_candidate, d_zeta.squeeze(), d_nu.squeeze()


def project(x: Tensor, weight: Tensor, height: int, width: int) -> Tensor:
    """weight (o, c) times the pixels of x (B, c, H, W), columns adjacent -> (B, o, height, width)."""
    p = x.new_empty(x.shape[0], weight.shape[0], height, width)
    if not _call("project", _projection(x, p, x), x, weight.contiguous(), p):
        raise RuntimeError("the native projection failed")
    return p


def project_backward(x: Tensor, weight: Tensor, dp: Tensor, need_dx: bool) -> tuple[Tensor | None, Tensor]:
    """Gradients of x, of its own size and contiguous, and of weight."""
    dp = dp.contiguous()
    dx = x.new_empty(x.shape) if need_dx else None
    dw = x.new_empty(weight.shape)
    problem = _projection(x, dp, x if dx is None else dx)
    if not _call("project_backward", problem, x, weight.contiguous(), dp, dx, dw):
        raise RuntimeError("the native projection's gradient failed")
    return dx, dw


def _projection(x: Tensor, p: Tensor, dx: Tensor) -> _Projection:
    images, outputs, height, width = p.shape
    strides = (stride for tensor in (x, p, dx) for stride in tensor.stride()[:3])
    sizes = (images, x.shape[1], outputs, height, width)
    return _Projection(*sizes, *strides, *dx.shape[2:], torch.get_num_threads())


def _dense(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [parameter.contiguous() for parameter in parameters[:3]]


def _problem(
    p: Tensor, y: Tensor, dp: Tensor, parameters: Sequence[Tensor], kernel: int, stride: int, piecewise: bool
) -> _Problem:
    images, channels, length, lines = p.shape
    return _Problem(
        *(images, channels, length, lines, kernel, stride, y.shape[2]),
        *p.stride(),
        *y.stride(),
        *dp.stride(),
        *(y.shape[1] // channels, piecewise, torch.get_num_threads()),
        *(float(value) for value in parameters[3:]),
    )


def _call(name: str, problem: ctypes.Structure, *tensors: Tensor | None) -> bool:
    loaded, _ = library()
    assert tensors[0] is not None
    function = getattr(loaded, f"rnnpool_{name}_{_SUFFIX[tensors[0].dtype]}")
    pointers = (ctypes.c_void_p(None if tensor is None else tensor.data_ptr()) for tensor in tensors)
    return function(ctypes.byref(problem), *pointers) == 0
