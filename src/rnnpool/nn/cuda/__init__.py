"""FastGRNN's sweep on CUDA: Triton kernels, compiled on first use; absent without complaint.

``status()`` says whether sweeps on CUDA run in them and why not; ``rnnpool.nn.native.disabled()`` turns them off for a
block of code. Nothing here waits for the device or copies from the host, so that a CUDA graph can hold it.
"""

from collections.abc import Sequence
from functools import cache
from types import ModuleType

import torch
from torch import Tensor

from rnnpool.nn.switch import enabled, readable

MOST_STEPS = 12  # steps are unrolled: beyond this the compiler takes minutes
MOST_UNITS = 64
MOST_ELEMENTS = 2**31  # sequences are counted in 32 bits

# (device, state size, kernel, gates) -> why torch operators took over; what does not fit one device may fit another
_failures: dict[tuple[torch.device, int, int, str], str] = {}


def status() -> str:
    """Which path FastGRNN sweeps on CUDA take, and why; one line."""
    if not enabled():
        return "torch: the Triton kernels are disabled by rnnpool.nn.native.disabled()"
    kernels, why = _kernels()
    if kernels is None:
        return f"torch: {why}"
    failed = "; ".join(
        f"but torch on {device} for state size {h}, kernel {kernel}, {gates} gates: {error}"
        for (device, h, kernel, gates), error in _failures.items()
    )
    return f"triton: {why}" + (f"; {failed}" if failed else "")


def available(p: Tensor, *others: Tensor) -> bool:
    """Whether a sweep of p, with others, can run in the Triton kernels (float32 on CUDA, and Triton)."""
    return (
        enabled()
        and p.device.type == "cuda"
        and p.dtype == torch.float32
        and readable(p, *others)
        and 0 < p.numel() < MOST_ELEMENTS
        and _kernels()[0] is not None
    )


def forward(
    p: Tensor, parameters: Sequence[Tensor], kernel: int, stride: int, directions: int, gates: str
) -> Tensor | None:
    """(B, h, L, I) -> (B, directions * h, windows, I), or None where the kernel is not to be had (see ``status``).

    ``parameters`` are weight_hidden (h, h), bias_gate (h,), bias_candidate (h,), zeta () and nu (), all float32. Lines
    or windows are adjacent in the result, as in p.
    """
    images, h, length, lines = p.shape
    windows = (length - kernel) // stride + 1
    across = _positions_adjacent(p)
    y = _empty(p, (images, directions * h, windows, lines), across)
    sequences = images * windows * lines
    arguments = (
        *(p, *p.stride(), y, *y.stride(), *_dense(parameters)),
        *(sequences, windows, lines, stride, int(across)),
    )
    return y if _launch("forward", p, sequences, directions, arguments, kernel, gates) else None


def backward(
    p: Tensor, parameters: Sequence[Tensor], dy: Tensor, kernel: int, stride: int, gates: str
) -> tuple[Tensor, ...] | None:
    """Gradients of p and of each of the parameters; None as in ``forward``."""
    images, h, _, lines = p.shape
    windows, directions = dy.shape[2], dy.shape[1] // h
    across = _positions_adjacent(p)
    dp = _empty(p, (directions * images, *p.shape[1:]), across).zero_().unflatten(0, (directions, images))
    dense = _dense(parameters)
    # Windows of one launch do not overlap, so that no two programs write to one place.
    every = min(-(-kernel // stride), windows)
    counts = [-(-(windows - first) // every) * images * lines for first in range(every)]
    block = _tile(h)[0]
    rows = [-(-count // block) for count in counts]
    sums = p.new_empty(directions, sum(rows), h * h + 2 * h + 2)
    for first, sequences in enumerate(counts):
        part = sums[:, sum(rows[:first]) :]
        arguments = (
            *(p, *p.stride(), dy, *dy.stride(), dp, *dp.stride(), *dense, part, part.stride(0)),
            *(sequences, sequences // (images * lines), lines, stride, int(across), first, every),
        )
        if not _launch("backward", p, sequences, directions, arguments, kernel, gates):
            return None
    d_weight, d_gate, d_candidate, d_zeta, d_nu = sums.sum((0, 1)).split([h * h, h, h, 1, 1])
    dp = dp[0] if directions == 1 else dp[0].add_(dp[1])
    return dp, d_weight.view(h, h), d_gate, d_candidate, d_zeta.squeeze(), d_nu.squeeze()


def _positions_adjacent(p: Tensor) -> bool:
    """Whether the swept axis is closer in memory than the lines: neighbours in a tile are then windows of one line."""
    return p.stride(2) < p.stride(3)


def _empty(p: Tensor, shape: Sequence[int], positions_adjacent: bool) -> Tensor:
    """A new (B, c, n, I) whose adjacent axis is n or I."""
    if not positions_adjacent:
        return p.new_empty(shape)
    b, c, n, lines = shape
    return p.new_empty(b, c, lines, n).transpose(2, 3)


def _dense(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [parameter.contiguous() for parameter in parameters]


def _tile(h: int) -> tuple[int, int, int]:
    """Sequences of a program, its warps, and the units of its tile, for a state size."""
    units = max(4, 1 << (h - 1).bit_length())
    # By registers and spills; benchmarks/tiles.py times others.
    return {16: 32, 32: 32, 64: 16}.get(units, 128), 4, units


def _launch(name: str, p: Tensor, sequences: int, directions: int, arguments: tuple, kernel: int, gates: str) -> bool:
    """Run a kernel; False where it cannot be compiled or does not fit the device, and ``status`` tells why."""
    h = p.shape[1]
    key = (p.device, h, kernel, gates)
    if kernel > MOST_STEPS or h > MOST_UNITS:
        _failures.setdefault(key, f"the kernels are made for at most {MOST_STEPS} steps and {MOST_UNITS} units")
    if key in _failures:
        return False
    kernels, _ = _kernels()
    block, warps, units = _tile(h)
    constants = {"H": h, "UNITS": units, "KERNEL": kernel, "PIECEWISE": gates == "piecewise"}
    try:
        with torch.cuda.device_of(p):
            getattr(kernels, name)[-(-sequences // block), directions](
                *arguments, **constants, DOT=units >= 16, BLOCK=block, num_warps=warps, num_stages=1
            )
    except Exception as error:  # Triton, ptxas and the C compiler of its launcher each raise their own
        _failures[key] = f"{type(error).__name__}: {str(error).strip()[-300:]}"
        return False
    return True


@cache
def _kernels() -> tuple[ModuleType | None, str]:
    """The kernels' module, or None; and what compiles them or why there are none."""
    if not torch.cuda.is_available():
        return None, "torch.cuda.is_available() is False"
    if torch.version.cuda is None:
        return None, "the kernels are made for NVIDIA's CUDA"
    try:
        import triton

        from rnnpool.nn.cuda import kernels
    except ImportError as error:
        return None, f"Triton cannot be imported: {error}"
    return kernels, f"triton {triton.__version__}"
