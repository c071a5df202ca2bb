"""The Triton kernels without a GPU: their numbers in Triton's interpreter, their compilation for Hopper.

Triton reads TRITON_INTERPRET when it is imported, so what runs in the interpreter runs in a process of its own, which
``test_in_the_interpreter`` starts.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from types import ModuleType

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnnpool.nn import FastGRNNCell, cuda, native, sweep
from rnnpool.nn.switch import enabled

triton = pytest.importorskip("triton")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
inside = pytest.mark.skipif(not INTERPRETED, reason="runs in the process of test_in_the_interpreter")
outside = pytest.mark.skipif(INTERPRETED, reason="needs Triton's compiler")
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


@outside
def test_in_the_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", __file__]
    done = subprocess.run(
        command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout


@pytest.fixture(scope="module", autouse=INTERPRETED)
def interpreter() -> Iterator[ModuleType]:
    """Maps on the CPU go to the kernels, and every launch has to succeed."""
    from rnnpool.nn.cuda import kernels

    patch = pytest.MonkeyPatch()
    patch.setattr(cuda, "_kernels", lambda: (kernels, "interpreter"))
    patch.setattr(cuda, "available", lambda *tensors: enabled())
    patch.setattr(native, "available", lambda *tensors: False)
    yield kernels
    patch.undo()
    assert not cuda._failures


def results(p: Tensor, cell: FastGRNNCell, kernel: int, stride: int, bidirectional: bool) -> list[Tensor]:
    """The sweep and the gradients of p and of all parameters of the sweep, of a fixed random sum of it."""
    y = sweep(p, cell, kernel, stride, bidirectional)
    upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(y)
    parameters = [parameter for name, parameter in cell.named_parameters() if name != "weight_input"]
    return [y, *torch.autograd.grad(y, [p, *parameters], upstream, allow_unused=True)]


@st.composite
def sweeps(draw: st.DrawFn) -> tuple[FastGRNNCell, Tensor, tuple[int, int, bool]]:
    """A cell whose gates matter, a map of any memory layout, and kernel, stride and directions."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    dtype = draw(st.sampled_from(list(TOLERANCE)))
    h = draw(st.sampled_from([1, 3, 4, 5, 6, 8, 16, 19]))
    options = {"gates": draw(st.sampled_from(["smooth", "piecewise"])), "trainable_mix": draw(st.booleans())}
    cell = FastGRNNCell(2, h, **options).to(dtype)
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            scale = 0.8 * h**-0.5 if name == "weight_hidden" else 0.8
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    kernel, stride, bidirectional = draw(st.integers(1, 5)), draw(st.integers(1, 6)), draw(st.booleans())
    shape = (draw(st.integers(1, 3)), h, kernel + draw(st.integers(0, 7)), draw(st.integers(1, 9)))
    order = draw(st.permutations(range(4)))
    p = torch.randn([shape[axis] for axis in order], generator=generator, dtype=torch.float64).to(dtype)
    return cell, p.permute([order.index(axis) for axis in range(4)]), (kernel, stride, bidirectional)


@inside
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(sweeps())
def test_equals_torch_operators(drawn: tuple[FastGRNNCell, Tensor, tuple[int, int, bool]]) -> None:
    """Outputs and all gradients, relative to the size of what is compared once that exceeds 1."""
    cell, p, arguments = drawn
    ours = results(p.requires_grad_(), cell, *arguments)
    with native.disabled():
        expected = results(p.double().detach().requires_grad_(), cell.double(), *arguments)
    for index, (one, other) in enumerate(zip(ours, expected, strict=True)):
        if index and one.dtype == torch.float32 and cell.gates == "piecewise":
            continue  # rounding can carry a pre-activation over a kink, where the slope jumps
        tolerance = TOLERANCE[one.dtype] * max(1.0, other.abs().max().item())
        torch.testing.assert_close(one.double(), other, rtol=0, atol=tolerance)


@inside
@pytest.mark.parametrize("transposed", [False, True])
def test_many_blocks_and_expanded_memory(transposed: bool) -> None:
    """More sequences than a program takes, windows that overlap threefold, a map and an upstream that share memory."""
    torch.manual_seed(0)
    cell = FastGRNNCell(2, 4, init="orthogonal").double()
    p = torch.randn(2, 4, 14, 1, dtype=torch.float64).expand(-1, -1, -1, 14)
    p = (p.transpose(2, 3) if transposed else p).requires_grad_()
    gradients = []
    for context in (native.disabled(), nullcontext()):
        with context:
            y = sweep(p, cell, 5, 2, True)
            gradients.append(torch.autograd.grad(y.sum(), [p, cell.weight_hidden]))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@inside
@pytest.mark.parametrize("gates", ["smooth", "piecewise"])
def test_nan_and_infinity(gates: str) -> None:
    """A NaN reaches the windows that hold it and no other; infinities saturate; huge biases lose no gate."""
    torch.manual_seed(0)
    cell = FastGRNNCell(2, 4, gates=gates)
    with torch.no_grad():
        cell.bias_gate.copy_(torch.tensor([-200.0, 200.0, 0.0, 3.0]))
        cell.bias_candidate.copy_(torch.tensor([200.0, -200.0, 0.0, -3.0]))
    p = torch.randn(2, 4, 9, 6)
    p[1, :, 4, 1] = float("nan")
    p[0, :, 0, :3], p[0, :, 0, 3:] = float("inf"), -float("inf")
    y = sweep(p, cell, 3, 3)
    hit = torch.zeros_like(y, dtype=torch.bool)
    hit[1, :, 1, 1] = True
    assert torch.equal(y.isnan(), hit)
    with native.disabled():
        torch.testing.assert_close(y, sweep(p, cell, 3, 3), rtol=0, atol=1e-6, equal_nan=True)


@inside
def test_a_kernel_that_fails_leaves_torch_operators_and_its_reason(
    interpreter: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    cell, p = FastGRNNCell(2, 4), torch.randn(1, 4, 20, 3, requires_grad=True)
    with native.disabled():
        expected = results(p, cell, 3, 2, True), results(p, cell, 17, 1, False)
    monkeypatch.setattr(cuda, "_failures", {(torch.device("cuda", 1), 4, 3, "smooth"): "too little memory"})
    monkeypatch.setattr(cuda, "_tile", lambda h: (100, 4, 4))  # not a power of two
    for ours, theirs in zip((results(p, cell, 3, 2, True), results(p, cell, 17, 1, False)), expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert torch.equal(one, other)
    status = native.status("cuda")
    assert "but torch on cuda:1 for state size 4, kernel 3, smooth gates: too little memory" in status
    assert "but torch on cpu for state size 4, kernel 3, smooth gates: " in status  # asked for itself
    assert "power of 2" in status
    assert "state size 4, kernel 17, smooth gates: the kernels are made for at most 12 steps" in status


@outside
def test_status_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cuda._kernels.cache_clear()
    assert native.status("cuda") == "torch: torch.cuda.is_available() is False"
    with native.disabled():
        assert native.status("cuda") == "torch: the Triton kernels are disabled by rnnpool.nn.native.disabled()"
    cuda._kernels.cache_clear()


@outside
@pytest.mark.parametrize("h", [4, 8, 16])
@pytest.mark.parametrize("name", ["forward", "backward"])
def test_compiles_for_hopper(name: str, h: int) -> None:
    """To machine code, without a GPU, for the smaller state sizes; a warp's threads lie along the sequences."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from rnnpool.nn.cuda import kernels

    block, warps, units = cuda._tile(h)
    kernel = getattr(kernels, name)
    constants = {"H": h, "UNITS": units, "KERNEL": 6, "PIECEWISE": False, "DOT": units >= 16, "BLOCK": block}
    pointers = {"p", "y", "dy", "dp", "sums", "weight", "bias_gate", "bias_candidate", "zeta", "nu"}
    signature = {
        argument: "constexpr" if argument in constants else "*fp32" if argument in pointers else "i32"
        for argument in kernel.arg_names
    }
    source = ASTSource(kernel, signature, {(kernel.arg_names.index(key),): value for key, value in constants.items()})
    options = {"num_warps": warps, "num_stages": 1}
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    assert compiled.asm["cubin"]
    code = compiled.asm["ttgir"]
    layouts = dict(re.findall(r"^(#\w+) = #ttg.blocked<.*threadsPerWarp = \[(.*?)\]", code, re.MULTILINE))
    used = re.findall(rf"tt\.(?:load|store)[^\n]*tensor<{units}x{block}x!tt.ptr<f32>, (#\w+)>", code)
    assert {layouts[name] for name in used} == {"1, 32"}
