"""W x of a part of a map: natively against torch's convolution of the part, values and both gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_paths import HERE
from torch import Tensor

from rnnpool.nn import native
from rnnpool.nn.projection import project

needs_native = pytest.mark.skipif("native" not in HERE, reason=native.status())


def by_convolution(x: Tensor, weight: Tensor, height: int, width: int) -> Tensor:
    return torch.einsum("oc,bchw->bohw", weight, x[:, :, :height, :width])


def both(x: Tensor, weight: Tensor, height: int, width: int) -> list[list[Tensor]]:
    """[value, dx, dweight] of the layer's and of the definition."""
    results = []
    for function in (project, by_convolution):
        x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
        y = function(x, weight, height, width)
        upstream = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(2))
        results.append([y, *torch.autograd.grad(y, [x, weight], upstream)])
    return results


@needs_native
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    sizes=st.tuples(*(st.integers(1, top) for top in (3, 9, 19, 9, 40))),
    cut=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_equals_the_definition(sizes: tuple[int, ...], cut: tuple[int, int], dtype: torch.dtype) -> None:
    """Channels and pixels on and off the kernel's tiles; rows and columns left out get a zero gradient."""
    images, inputs, outputs, rows, columns = sizes
    generator = torch.Generator().manual_seed(sum(sizes))
    x = torch.randn(images, inputs, rows, columns, dtype=dtype, generator=generator)
    weight = torch.randn(outputs, inputs, dtype=dtype, generator=generator)
    ours, expected = both(x, weight, max(1, rows - cut[0]), max(1, columns - cut[1]))
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("memory", ["sliced", "channels_last", "transposed", "expanded"])
def test_any_memory(memory: str) -> None:
    x = torch.randn(2, 5, 8, 40, dtype=torch.float64)
    other = {
        "sliced": torch.randn(4, 7, 10, 41, dtype=torch.float64)[::2, 1:6, 2:, :40],
        "channels_last": x.contiguous(memory_format=torch.channels_last),
        "transposed": x.transpose(2, 3).contiguous().transpose(2, 3),
        "expanded": x[:1, :1].expand(2, 5, 8, 40),
    }[memory]
    ours, expected = both(other, torch.randn(6, 5, dtype=torch.float64), 7, 38)
    for one, two in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)


@needs_native
@pytest.mark.parametrize("images", [1, 5])  # one: threads share its rows
def test_an_image_that_needs_no_gradient_gets_none(images: int) -> None:
    """The first layer of a network: only the weight's gradient is computed, and threads only change its rounding."""
    x, weight = (
        torch.randn(images, 3, 6, 33, dtype=torch.float64),
        torch.randn(4, 3, dtype=torch.float64, requires_grad=True),
    )
    dp = torch.randn(images, 4, 6, 33, dtype=torch.float64)
    dx, expected = native.project_backward(x, weight.detach(), dp, need_dx=False)
    assert dx is None
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        (threaded,) = torch.autograd.grad(project(x, weight, 6, 33), weight, dp)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(threaded, expected, rtol=1e-13, atol=1e-13)


@needs_native
@pytest.mark.parametrize("images", [1, 2])
def test_rows_shared_by_threads_are_the_same_to_the_bit(images: int) -> None:
    """Of a part of the map, whose rows do not follow each other, and of a whole one, which is one long row."""
    x = torch.randn(images, 3, 11, 35)
    weight = torch.randn(4, 3)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 4):
            torch.set_num_threads(threads)
            for height, width in ((10, 33), (11, 35)):
                p = native.project(x, weight, height, width)
                results.append((p, native.project_backward(x, weight, p, need_dx=True)[0]))
    finally:
        torch.set_num_threads(before)
    for (p, dx), (threaded_p, threaded_dx) in zip(results[:2], results[2:], strict=True):
        assert torch.equal(p, threaded_p)
        assert torch.equal(dx, threaded_dx)
