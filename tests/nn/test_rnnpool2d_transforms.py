"""RNNPool2d under what follows or transforms a forward pass: torch.func, forward mode, tracers, counters."""

from collections.abc import Callable

import pytest
import torch
from small_layer import OPTIONS, assert_near, image, layer_of
from sweep_paths import HERE
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

from rnnpool.nn import RNNPool2d, native


def loss_of(layer: nn.Module) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    return lambda parameters, x: functional_call(layer, parameters, (x,)).square().sum()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_of_each_image(options: dict) -> None:
    """vmap over grad, which differentially private training uses, against one backward pass an image."""
    layer, x = layer_of(options), image(3)
    parameters = {name: parameter.detach() for name, parameter in layer.named_parameters()}
    ours = vmap(grad(loss_of(layer)), in_dims=(None, 0))(parameters, x)
    for i in range(3):
        expected = torch.autograd.grad(layer(x[i]).square().sum(), list(layer.parameters()))
        for name, gradient in zip(parameters, expected, strict=True):
            assert_near(ours[name][i], gradient)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_vmap_over_an_ensemble(options: dict) -> None:
    layers, x = [layer_of(options, seed) for seed in range(3)], image()
    stacked, _ = stack_module_state(layers)
    y = vmap(lambda parameters: functional_call(layers[0], parameters, (x,)))(stacked)
    for ours, layer in zip(y, layers, strict=True):
        assert_near(ours, layer(x))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_jacobians(options: dict) -> None:
    """Forward and reverse, by torch.func and by the older functions, against one another and a jvp."""
    layer, x, direction = layer_of(options), image(1), image(1).flip(3)
    expected = torch.autograd.functional.jacobian(layer, x)
    for ours in (jacrev(layer)(x), jacfwd(layer)(x), torch.autograd.functional.jacobian(layer, x, vectorize=True)):
        assert_near(ours, expected)
    product = torch.tensordot(expected, direction, dims=4)
    assert_near(jvp(layer, (x,), (direction,))[1], product)
    with forward_ad.dual_level():
        assert_near(forward_ad.unpack_dual(layer(forward_ad.make_dual(x, direction))).tangent, product)


def test_hessian() -> None:
    layer, x = layer_of(), image(1)
    expected = torch.autograd.functional.hessian(lambda x: layer(x).square().sum(), x)
    assert_near(hessian(lambda x: layer(x).square().sum())(x), expected)


@pytest.mark.usefixtures("path")
def test_batches_of_upstream_gradients() -> None:
    layer, x = layer_of({"trainable_mix": True}), image().requires_grad_()
    y, inputs = layer(x), [x, *layer.parameters()]
    upstream = torch.randn(3, *y.shape, dtype=y.dtype)
    batched = torch.autograd.grad(y, inputs, upstream, is_grads_batched=True, retain_graph=True)
    for i in range(3):
        for ours, expected in zip(batched, torch.autograd.grad(y, inputs, upstream[i], retain_graph=True), strict=True):
            assert_near(ours[i], expected)


def test_compiled_transforms() -> None:
    layer, x = layer_of(), image()
    parameters = {name: parameter.detach() for name, parameter in layer.named_parameters()}
    function = vmap(grad(loss_of(layer)), in_dims=(None, 0))
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    for ours, expected in zip(compiled(parameters, x).values(), function(parameters, x).values(), strict=True):
        assert_near(ours, expected)


def test_tensors_without_numbers() -> None:
    """Fake ones tell shapes, forward and backward; a kernel that took their address would crash the process."""
    with FakeTensorMode():
        layer = RNNPool2d(2, 3, 2, (3, 2), (2, 1), (0, 1))
        x = torch.empty(2, 2, 5, 3, requires_grad=True)
        y = layer(x)
        y.sum().backward()
        assert y.shape == (2, 8, 2, 4)
        assert x.grad is not None
        assert x.grad.shape == x.shape


def test_make_fx_records_both_passes() -> None:
    layer = layer_of()

    def slope(x: Tensor) -> Tensor:
        return torch.autograd.grad(layer(x).square().sum(), x)[0]

    recorded = make_fx(slope)(image().requires_grad_())
    x = image().flip(2).requires_grad_()
    assert_near(recorded(x), slope(x))


@pytest.mark.skipif("native" not in HERE, reason=native.status())
def test_a_counter_of_flops_sees_the_products() -> None:
    layer, x = layer_of(), image()
    counts = []
    for context in (HERE["native"], HERE["torch"]):
        with context(), FlopCounterMode(display=False) as counter:
            layer(x)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0
