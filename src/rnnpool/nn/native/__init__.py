"""The fused C++ sweep: built on first use with the machine's own compiler, absent without complaint.

``status()`` says which path sweeps take and why; ``disabled()`` turns the native one off for a block of code, as tests
and benchmarks do. The library is plain C (no PyTorch headers) and is cached by the hash of its source, the compiler
and the processor, so a change of any of them builds anew.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from rnnpool.files import atomic_path

SOURCE = Path(__file__).with_name("sweep.cpp")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-pthread", "-fno-math-errno", "-fno-trapping-math")
_SUFFIX = {torch.float32: "f32", torch.float64: "f64"}
_enabled = True


class _Problem(ctypes.Structure):
    """Mirror of ``struct Problem`` in sweep.cpp."""

    _fields_ = (
        [(name, ctypes.c_int64) for name in ("images", "channels", "length", "lines", "kernel", "stride", "windows")]
        + [(f"p_{name}", ctypes.c_int64) for name in ("image", "channel", "position", "line")]
        + [(f"y_{name}", ctypes.c_int64) for name in ("image", "channel", "window", "line")]
        + [(name, ctypes.c_int32) for name in ("directions", "piecewise", "threads")]
        + [(name, ctypes.c_double) for name in ("zeta", "nu")]
    )


@cache
def _library() -> tuple[ctypes.CDLL | None, str]:
    """The loaded library, or None; and why."""
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))), None)
    if compiler is None:
        return None, "no C++ compiler found (c++, g++ or clang++)"
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    key = "\n".join((SOURCE.read_text(), " ".join(FLAGS), compiler, version, _processor()))
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rnnpool"
    target = folder / f"sweep-{hashlib.sha256(key.encode()).hexdigest()[:16]}.so"
    try:
        if not target.exists():
            with atomic_path(target) as temporary:
                command = [compiler, *FLAGS, str(SOURCE), "-o", str(temporary)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    return None, f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}"
        return ctypes.CDLL(str(target)), f"compiled with {compiler}, {target}"
    except OSError as error:
        return None, f"cannot build or load {target}: {error}"


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    except OSError:
        return f"{platform.machine()} {platform.processor()}"


def status() -> str:
    """Which path FastGRNN sweeps on the CPU take, and why; one line."""
    library, why = _library()
    if not _enabled:
        return "torch: the native sweep is disabled by rnnpool.nn.native.disabled()"
    return f"native: {why}" if library else f"torch: {why}"


@contextmanager
def disabled() -> Iterator[None]:
    """Sweep with torch operators inside the block."""
    global _enabled
    before, _enabled = _enabled, False
    try:
        yield
    finally:
        _enabled = before


def available(p: torch.Tensor) -> bool:
    """Whether this tensor's sweep can run natively (CPU, float32 or float64, a compiled library)."""
    return _enabled and p.device.type == "cpu" and p.dtype in _SUFFIX and _library()[0] is not None


def _problem(p: torch.Tensor, y: torch.Tensor, kernel: int, stride: int, piecewise: bool, zeta: float, nu: float) -> _Problem:
    images, channels, length, lines = p.shape
    return _Problem(
        *(images, channels, length, lines, kernel, stride, y.shape[2]),
        *p.stride(),
        *y.stride(),
        *(y.shape[1] // channels, piecewise, torch.get_num_threads()),
        *(zeta, nu),
    )


def _call(name: str, problem: _Problem, *tensors: torch.Tensor) -> bool:
    library, _ = _library()
    assert library is not None
    function = getattr(library, f"rnnpool_{name}_{_SUFFIX[tensors[0].dtype]}")
    status = function(ctypes.byref(problem), *(ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors))
    return status == 0


def forward(p, weight, bias_gate, bias_candidate, kernel, stride, directions, piecewise, zeta, nu):
    """(B, h, L, I) -> (B, directions * h, windows, I), or None where only the torch path is exact.

    That is the case when |bias_candidate - bias_gate| > 20 for some unit: the kernel takes both gates from one
    exponential, which would then lose the gate.
    """
    windows = (p.shape[2] - kernel) // stride + 1
    y = p.new_empty(p.shape[0], directions * p.shape[1], windows, p.shape[3])
    problem = _problem(p, y, kernel, stride, piecewise, zeta, nu)
    return y if _call("forward", problem, p, weight, bias_gate, bias_candidate, y) else None


def backward(p, weight, bias_gate, bias_candidate, dy, kernel, stride, piecewise, zeta, nu):
    """Gradients of p, weight (h, h), bias_gate (h,), bias_candidate (h,), zeta () and nu (); None as in forward."""
    h = p.shape[1]
    dp = torch.empty_strided(p.shape, p.stride(), dtype=p.dtype)
    sums = p.new_empty(h * h + 2 * h + 2)
    problem = _problem(p, dy, kernel, stride, piecewise, zeta, nu)
    if not _call("backward", problem, p, weight, bias_gate, bias_candidate, dy, dp, sums):
        return None
    d_weight, d_gate, d_candidate, d_zeta, d_nu = sums.split([h * h, h, h, 1, 1])
    return dp, d_weight.view(h, h), d_gate, d_candidate, d_zeta.squeeze(), d_nu.squeeze()
