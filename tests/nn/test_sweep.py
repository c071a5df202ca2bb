"""The sweep alone: any strides, the kernel's own limits, what it refuses."""

import pytest
import torch
from sweep_paths import HERE
from torch import Tensor

from rnnpool.errors import InputError
from rnnpool.nn import FastGRNNCell, GRUCell, native, sweep


def cell_and_map(hidden: int = 3) -> tuple[FastGRNNCell, Tensor]:
    torch.manual_seed(0)
    cell = FastGRNNCell(2, hidden, init="orthogonal").double()
    return cell, torch.randn(2, hidden, 7, 4, dtype=torch.float64)


def by_hand(p: Tensor, cell: FastGRNNCell, kernel: int, stride: int) -> Tensor:
    """Window by window, forward."""
    out = []
    for start in range(0, p.shape[2] - kernel + 1, stride):
        h = torch.zeros_like(p[:, :, 0])
        for position in range(start, start + kernel):
            pre = p[:, :, position] + torch.einsum("ij,bjl->bil", cell.weight_hidden, h)
            z = torch.sigmoid(pre + cell.bias_gate[:, None])
            h = z * h + (1 - z) * torch.tanh(pre + cell.bias_candidate[:, None])
        out.append(h)
    return torch.stack(out, dim=2)


def gradients(p: Tensor, cell: FastGRNNCell) -> list[Tensor]:
    """d sum(y^2) for the map and for every parameter that the sweep uses."""
    y = sweep(p, cell, 3, 2, bidirectional=True)
    return list(torch.autograd.grad(y.square().sum(), [p, cell.weight_hidden, cell.bias_gate, cell.bias_candidate]))


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("strides", ["transposed", "sliced", "expanded"])
def test_any_strides(strides: str) -> None:
    """Maps that share or skip memory: an expanded one must not collect its gradient in shared memory."""
    cell, p = cell_and_map()
    if strides == "transposed":
        other = p.transpose(2, 3).contiguous().transpose(2, 3)
    elif strides == "sliced":
        other = torch.zeros(4, 3, 14, 8, dtype=p.dtype)[::2, :, ::2, ::2]
        other.copy_(p)
    else:
        p = p[:, :, :, :1].expand(2, 3, 7, 4).contiguous()
        other = p[:, :, :, :1].expand(2, 3, 7, 4)
    torch.testing.assert_close(sweep(other, cell, 3, 2), by_hand(p, cell, 3, 2), rtol=0, atol=1e-14)
    for ours, theirs in zip(gradients(other.requires_grad_(), cell), gradients(p.requires_grad_(), cell), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-14)], ids=str)
@pytest.mark.skipif("native" not in HERE, reason=native.status())
def test_saturated_gates(dtype: torch.dtype, tolerance: float) -> None:
    """Pre-activations up to 300, biases 19 apart: exponentials of the kernel must neither overflow nor lose a gate."""
    cell, _ = cell_and_map(4)
    with torch.no_grad():
        cell.bias_gate.copy_(torch.tensor([-9.5, 9.5, 0.0, 3.0]))
        cell.bias_candidate.copy_(torch.tensor([9.5, -9.5, 0.0, -3.0]))
    p = torch.logspace(-6, 2.5, 8 * 7 * 4, dtype=torch.float64).view(1, 8, 7, 4)
    p = torch.cat([p[:, :4], -p[:, 4:].flip(2)]).to(dtype)
    ours = [sweep(p, cell.to(dtype), 3, 2), *gradients(p.clone().requires_grad_(), cell)]
    with native.disabled():
        expected = [sweep(p.double(), cell.double(), 3, 2), *gradients(p.double().requires_grad_(), cell)]
    for one, other in zip(ours, expected, strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one.double(), other, rtol=0, atol=tolerance * scale)


@pytest.mark.skipif("native" not in HERE, reason=native.status())
def test_biases_too_far_apart_go_through_torch() -> None:
    """The native kernel takes both gates from one exponential; beyond a gap of 20 it says so and torch takes over."""
    cell, p = cell_and_map()
    with torch.no_grad():
        cell.bias_gate.fill_(-30.0)
        cell.bias_candidate.fill_(25.0)
    parameters = (cell.weight_hidden, cell.bias_gate, cell.bias_candidate, torch.tensor(1.0), torch.tensor(0.0))
    assert native.forward(p, parameters, 3, 2, 1, False) is None
    torch.testing.assert_close(sweep(p, cell, 3, 2), by_hand(p, cell, 3, 2), rtol=0, atol=1e-14)


@pytest.mark.parametrize("threads", [2, 3, 9])
@pytest.mark.parametrize(("images", "lines"), [(3, 31), (1, 7), (1, 33)])  # few lines: threads share directions
@pytest.mark.skipif("native" not in HERE, reason=native.status())
def test_threads_change_nothing_but_rounding(images: int, lines: int, threads: int) -> None:
    """Outputs and the map's gradient to the bit; sums over lines to rounding, and the same on every call."""
    torch.manual_seed(0)
    cell = FastGRNNCell(2, 5).double()
    p = torch.randn(images, 5, 9, lines, dtype=torch.float64, requires_grad=True)
    before = torch.get_num_threads()
    results = []
    try:
        for count in (1, threads, threads):
            torch.set_num_threads(count)
            results.append([sweep(p, cell, 3, 2), *gradients(p, cell)])
    finally:
        torch.set_num_threads(before)
    one, several, again = results
    assert torch.equal(one[0], several[0])
    assert torch.equal(one[1], several[1])
    for ours, theirs, repeated in zip(one[2:], several[2:], again[2:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
        assert torch.equal(theirs, repeated)


@pytest.mark.usefixtures("path")
def test_parameters_of_another_precision() -> None:
    """A float32 map and a float64 cell: the sweep runs in the map's precision, gradients come in each one's own."""
    cell, p = cell_and_map()
    small = p.float().requires_grad_()
    y = sweep(small, cell, 3, 2)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.double(), by_hand(p, cell, 3, 2), rtol=0, atol=1e-6)
    assert [g.dtype for g in gradients(small, cell)] == [torch.float32] + 3 * [torch.float64]


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "words"),
    [
        ((2, 4, 7, 4), 3, 2, r"shape \(2, 4, 7, 4\); it must be \(B, 3, L, I\)"),
        ((2, 3, 7), 3, 2, r"shape \(2, 3, 7\); it must be \(B, 3, L, I\)"),
        ((2, 3, 7, 4), 8, 2, "kernel is 8 and stride 2; they must be 1 to the length 7"),
        ((2, 3, 7, 4), 0, 2, "kernel is 0"),
        ((2, 3, 7, 4), 3, 0, "stride 0"),
    ],
)
def test_refused(shape: tuple[int, ...], kernel: int, stride: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        sweep(torch.zeros(shape), FastGRNNCell(2, 3), kernel, stride)


def test_refused_for_gates_stacked() -> None:
    with pytest.raises(InputError, match=r"it must be \(B, 9, L, I\)"):
        sweep(torch.zeros(1, 3, 5, 5), GRUCell(2, 3), 2, 1)
