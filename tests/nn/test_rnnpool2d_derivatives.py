"""Derivatives of RNNPool2d by finite differences, first and second order, and through awkward memory."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from rnnpool.nn import RNNPool2d

CELLS = [
    {"gates": "smooth"},
    {"gates": "smooth", "trainable_mix": True},
    {"gates": "piecewise", "trainable_mix": True},
    {"cell": "gru"},
    {"cell": "lstm"},
]


def layer_and_images(options: dict, scale: float = 0.4) -> tuple[RNNPool2d, Tensor]:
    generator = torch.Generator().manual_seed(0)
    layer = RNNPool2d(2, 3, 2, (3, 2), (2, 1), (0, 1), **options).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return layer, torch.randn(2, 2, 5, 3, generator=generator, dtype=torch.float64, requires_grad=True)


def as_function(layer: RNNPool2d):
    """The layer as a function of the image and of every parameter, as gradcheck wants it."""
    names = [name for name, _ in layer.named_parameters()]

    def function(images: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (images,))

    return function


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("options", CELLS, ids=str)
def test_gradcheck(options: dict) -> None:
    layer, images = layer_and_images(options)
    assert gradcheck(as_function(layer), (images, *layer.parameters()), fast_mode=True)


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("options", CELLS, ids=str)
def test_second_derivatives(options: dict) -> None:
    """A gradient penalty needs them."""
    layer, images = layer_and_images(options)
    assert gradgradcheck(as_function(layer), (images, *layer.parameters()), fast_mode=True)


@pytest.mark.usefixtures("path")
def test_only_what_needs_a_gradient_gets_one() -> None:
    layer, images = layer_and_images({"trainable_mix": True})
    images = images.detach()
    layer.rnn1.requires_grad_(False)
    layer(images).sum().backward()
    assert all(parameter.grad is None for parameter in layer.rnn1.parameters())
    assert all(parameter.grad is not None for parameter in layer.rnn2.parameters())


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("memory", ["channels_last", "expanded", "sliced", "reversed"])
def test_memory_of_the_input_does_not_matter(memory: str) -> None:
    """Outputs and input gradients of the same numbers, laid out differently, are the same."""
    layer, images = layer_and_images({})
    plain = images.detach()
    if memory == "channels_last":
        other = plain.contiguous(memory_format=torch.channels_last)
    elif memory == "expanded":
        plain = plain[:1, :1].expand(2, 2, 5, 3).contiguous()
        other = plain[:1, :1].expand(2, 2, 5, 3)
    elif memory == "sliced":
        other = torch.empty(4, 3, 5, 9, dtype=plain.dtype)[::2, 1:, :, ::3]
        other.copy_(plain)
    else:
        other = plain.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    results = []
    for x in (plain, other):
        x = x.detach().requires_grad_()
        y = layer(x)
        y.sum().backward()  # the upstream gradient is expanded from one number
        results.append((y.detach(), x.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
