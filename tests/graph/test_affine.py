"""Arithmetic with a module's own tensors: they are the graph's parameters, and later changes of them are seen."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from rnnpool.graph import lower
from rnnpool.graph.ops import Affine
from rnnpool.integer.fuse import fuse

FORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "x + p": lambda x, p: x + p,
    "x - p": lambda x, p: x - p,
    "p - x": lambda x, p: p - x,
    "rsub": lambda x, p: torch.rsub(x, p),
    "x * p": lambda x, p: x * p,
    "x / p": lambda x, p: x / p,
    "x /= p": lambda x, p: (x * 1).__itruediv__(p),
    "x -= p": lambda x, p: (x * 1).__isub__(p),
}
SHAPES = [(3, 1, 1), (1, 3, 1, 1), (1,), ()]


class Arithmetic(nn.Module):
    def __init__(self, form: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.form, self.constant = form, nn.Parameter(torch.rand(shape) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.form(x, self.constant)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", FORMS)
def test_the_tensor_itself_is_kept(form: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    module = Arithmetic(FORMS[form], shape)
    graph = lower(module, (3, 4, 5))
    assert graph.parameters == module.constant.numel()
    image = torch.randn(2, 3, 4, 5)
    with torch.no_grad():
        module.constant.add_(1)
        expected = module(image)
        torch.testing.assert_close(graph.run(image)[0], expected)
        affine = graph.outputs[0].op
        assert isinstance(affine, Affine)
        scale = torch.ones(1) if affine.scale is None else affine.scale
        offset = torch.zeros(1) if affine.offset is None else affine.offset
        torch.testing.assert_close(image * scale.view(1, -1, 1, 1) + offset.view(1, -1, 1, 1), expected)


def test_gradients_pass_to_it_through_the_layers_of_integers() -> None:
    module = Arithmetic(lambda x, p: x / p, (3, 1, 1))
    (layer,) = fuse(lower(module, (3, 4, 5))).outputs[0].inputs  # the last copies it as int16
    layer.weight.sum().backward()
    torch.testing.assert_close(module.constant.grad, -1 / module.constant.detach().square())
