"""What a forward may be written with: each form against torch; and what it may not: said by name and place."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnpool.errors import InputError
from rnnpool.graph import lower
from rnnpool.graph.tracer import FUNCTIONS

SHAPE = (4, 6, 8)


class Written(nn.Module):
    """A module whose forward is the function given, after a convolution of its own."""

    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(self.conv(x))


def branching(x: Tensor) -> Tensor:
    """Python that looks at shapes is no obstacle."""
    height, width = x.shape[-2:]
    y = F.interpolate(x, scale_factor=2.0, mode="nearest")[..., :height, :width]
    return x + y if height < width else x


def in_place_before_reuse(x: Tensor) -> Tensor:
    """The sum sees the rectified x, as in torch."""
    y = F.relu(x, inplace=True)
    return y * 2 + x


def cloned_before(x: Tensor) -> Tensor:
    """The clone does not see what is written into x."""
    y = x.clone()
    x.relu_()
    return x + y


def clone_written(x: Tensor) -> Tensor:
    """x does not see what is written into the clone, which may be of a part."""
    return nn.ReLU(inplace=True)(x.clone()) + x + torch.cat([x[:, :2].clone().relu_(), x[:, 2:]], dim=1)


def copied_by_others(x: Tensor) -> list[Tensor]:
    """What changes nothing may still copy."""
    y = [torch.cat([x], 1), F.interpolate(x, size=(6, 8)), F.adaptive_avg_pool2d(x, (6, 8)), x.to(x.dtype, copy=True)]
    x.relu_()
    return [each + x for each in y]


def view_read_before(x: Tensor) -> Tensor:
    """A view may be read until its memory is written, and lie unused after that."""
    view = x[:, :2]
    y = view.tanh()
    return torch.cat([y, F.relu(x, inplace=True)], dim=1)


def view_written(x: Tensor) -> Tensor:
    """The view may be written as long as nobody reads the rest of its memory."""
    view = x.view(x.size(0), 2, 2, 6, 8).transpose(1, 2).reshape(x.shape)
    return F.relu_(view[:, 1:]) * 2


FORMS: dict[str, Callable[[Tensor], object]] = {
    "branching": branching,
    "in place": in_place_before_reuse,
    "clone, then in place": cloned_before,
    "clone in place": clone_written,
    "copies": copied_by_others,
    "view, then in place": view_read_before,
    "view in place": view_written,
    "iadd": lambda x: x.__iadd__(x.sigmoid()),
    "scalars": lambda x: (2 - x * 3 + 1) / 4 - 0.5,
    "negated": lambda x: -x,
    "constant - map": lambda x: torch.arange(4.0).view(4, 1, 1) - x,
    "constants a channel": lambda x: x * torch.arange(4.0).view(4, 1, 1) + torch.ones(1, 4, 1, 1),
    "activations": lambda x: F.silu(x) + torch.tanh(x) + F.gelu(x) + F.mish(x) + F.hardswish(x) + F.hardsigmoid(x),
    "clips": lambda x: x.clamp(-0.5, 0.5) + F.hardtanh(x) + torch.clamp(x, min=0) + F.relu6(x),
    "slopes": lambda x: F.leaky_relu(x, 0.2) + F.elu(x, 0.7),
    "chunks": lambda x: torch.cat(x.chunk(2, dim=1)[::-1], dim=1),
    "splits": lambda x: list(torch.split(x, [1, 3], dim=1)),
    "crop": lambda x: x[:, 1:3, 1:-1, ::2],
    "channel kept": lambda x: x[:, 2].unsqueeze(1),
    "new axis": lambda x: x.mean((2, 3))[:, :, None, None] * x,
    "narrow": lambda x: x.narrow(2, 1, 3),
    "excitation": lambda x: x * F.adaptive_avg_pool2d(x, 1).sigmoid(),
    "excitation first": lambda x: torch.sigmoid(x.mean(dim=(-2, -1), keepdim=True)) * x,
    "max-out": lambda x: torch.cat([x[:, :3].max(dim=1, keepdim=True).values, x[:, 3:]], dim=1),
    "max-out tuple": lambda x: x.max(1, True)[0],
    "amax": lambda x: [x.amax((2, 3)), x.amax(dim=1, keepdim=True)],
    "pools": lambda x: [F.max_pool2d(x, 3, 2, 1), F.avg_pool2d(x, 3, 2, 1), F.max_pool2d(x, 3, 2, ceil_mode=True)],
    "avg without padding": lambda x: F.avg_pool2d(x, (2, 3), 2, (1, 1), ceil_mode=True, count_include_pad=False),
    "adaptive": lambda x: [F.adaptive_avg_pool2d(x, (2, 3)), F.adaptive_max_pool2d(x, (5, None))],
    "pads": lambda x: F.pad(F.pad(x, (0, 1, 0, 1), mode="replicate"), (1, 0), value=2.0),
    "padded above, then in place": lambda x: F.relu(F.pad(x, (1, 2, 1, 1)) * 2 - 1),
    "resize to size": lambda x: F.interpolate(x, size=(12, 24)),
    "unit length": lambda x: F.normalize(x, dim=1),
    "softmax": lambda x: x.softmax(dim=1),
    "shuffle": lambda x: x.view(x.size(0), 2, 2, 6, 8).transpose(1, 2).contiguous().view(x.size(0), -1, 6, 8),
    "permute": lambda x: x.permute(0, 2, 3, 1).reshape(x.shape[0], -1),
    "flatten": lambda x: torch.flatten(x, 1),
    "squeeze": lambda x: F.adaptive_max_pool2d(x, 1).squeeze(-1).squeeze(-1),
    "dropout": lambda x: F.dropout(x, 0.5, training=False, inplace=True),
    "dictionary": lambda x: {"b": x, "a": [x + 1]},
    "same": lambda x: F.conv2d(x, torch.ones(2, 4, 3, 3), padding="same", dilation=2),
    "linear": lambda x: F.linear(x.flatten(1), torch.ones(3, 192) / 192),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch", [1, 3])
def test_form_against_torch(form: str, batch: int) -> None:
    torch.manual_seed(0)
    module = Written(FORMS[form])
    graph = lower(module, SHAPE)
    image = torch.randn(batch, *SHAPE)
    with torch.no_grad():
        expected = torch.utils._pytree.tree_leaves(module(image))
        found = graph.run(image)
    assert len(found) == len(expected)
    for a, b, node in zip(found, expected, graph.outputs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
        assert (batch, *node.shape) == tuple(b.shape)


def test_rows_that_operators_name_are_those_that_matter() -> None:
    """Changing a row outside of ``rows`` never changes the output row; every named row is one of the map's."""
    torch.manual_seed(0)
    seen = set()
    for function in FORMS.values():
        graph = lower(Written(function), SHAPE)
        image = torch.randn(1, *SHAPE)
        values = dict(zip(graph.nodes, graph.run(image, keep=graph.nodes), strict=True))
        for node in graph.nodes[1:]:
            inputs = [values[source] for source in node.inputs]
            if len(node.shape) != 3 or any(value.dim() != 4 for value in inputs):
                continue
            seen.add(node.kind)
            for row in range(node.shape[1]):
                altered = []
                for which, value in enumerate(inputs):
                    first, last = node.op.rows(row, which, node.input_shapes, node.shape)
                    assert first > last or 0 <= first <= last < value.shape[2]
                    changed = value + 100
                    changed[:, :, first : last + 1] = value[:, :, first : last + 1]
                    altered.append(changed)
                again = node.op.run(*altered)[:, :, row]
                torch.testing.assert_close(again, values[node][:, :, row], rtol=0, atol=1e-6)
    assert {"conv", "pool", "adaptive_pool", "pad", "slice", "nearest", "mul", "concat", "softmax"} <= seen


def written_base(x: Tensor) -> Tensor:
    view = x[:, :2]
    x.relu_()
    return view


def written_base_of_a_flattened(x: Tensor) -> Tensor:
    flat = x.unsqueeze(1).flatten(1)
    F.relu(x, inplace=True)
    return flat


def written_view(x: Tensor) -> list[Tensor]:
    return [x[:, :1].mul_(2), x]


def written_element(x: Tensor) -> Tensor:
    x[:, :1] = 0
    return x


def written_by_the_unknown(x: Tensor) -> Tensor:
    x.abs_()
    return x


def written_through_the_unknown(x: Tensor) -> Tensor:
    x.unbind(1)[0].zero_()
    return x


def failure(function: Callable[[Tensor], object]) -> str:
    with pytest.raises(InputError) as raised:
        lower(nn.Sequential(Written(function)), SHAPE)
    return str(raised.value)


def test_unknown_operator_is_named_with_its_place_and_a_way_out() -> None:
    message = failure(lambda x: torch.fft.fft2(x).abs())
    assert "fft_fft2" in message
    assert "module '0' (Written)" in message
    assert "rnnpool.graph.ops" in message


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * float(x.mean((2, 3)).mean()),
        lambda x: x[:, : int(x.max())],
        lambda x: x + x.norm().item(),
    ],
    ids=["if", "float", "int", "item"],
)
def test_what_depends_on_values_is_said_to(function: Callable[[Tensor], Tensor]) -> None:
    message = failure(function)
    assert "depends on the image" in message
    assert "module '0' (Written)" in message


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: torch.cat([x, x], dim=2), "dimension 2"),
        (lambda x: x.flatten(), "the batch"),
        (lambda x: x[0], "the batch"),
        (lambda x: F.interpolate(x, scale_factor=1.5), "whole factors"),
        (lambda x: F.interpolate(x, size=(12, 16), mode="bilinear"), "'bilinear'"),
        (lambda x: F.linear(x, torch.ones(2, 8)), "vector"),
        (lambda x: x.mean(1), "(2, 3)"),
        (written_base, "relu_ writes into memory that another tensor shows too"),
        (written_base_of_a_flattened, "relu writes into memory that another tensor shows too"),
        (written_view, "mul_ writes into memory that another tensor shows too"),
        (written_element, "'setitem'"),
        (written_by_the_unknown, "'abs'"),
        (written_through_the_unknown, "'unbind'"),
        (lambda x: torch.fft.fft2(x.relu_()), "'fft_fft2'"),
        (lambda x: x.unsqueeze_(2), "unsqueeze_ changes a tensor's shape"),
        (lambda x: torch.ones(1, 4, 6, 8).mul_(x), "mul_ writes into a Tensor"),
        (lambda x: x - x.sigmoid(), "difference"),
        (lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), "'reflect'"),
        (lambda x: x.max(dim=1, keepdim=True).indices + x, "indices"),
        (lambda x: x.shape, "no tensor"),
        (lambda x: F.conv2d(x, torch.ones(1, 4, 9, 9)), "smaller"),
    ],
)
def test_unsupported_use_is_named(function: Callable[[Tensor], object], words: str) -> None:
    assert words in failure(function)


@pytest.mark.parametrize("shape", [(3, 8), (3, 0, 8), (1, 3, 8, 8)])
def test_input_shape_is_checked(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="input_shape"):
        lower(nn.ReLU(), shape)


def test_an_error_of_the_network_itself_is_told_with_its_place() -> None:
    with pytest.raises(InputError, match=r"Written cannot be run on an image \(3, 6, 8\)|4 channels"):
        lower(Written(lambda x: x), (3, 6, 8))


def test_a_module_used_twice_counts_its_parameters_once() -> None:
    conv = nn.Conv2d(4, 4, 1)
    graph = lower(nn.Sequential(conv, nn.ReLU(), conv), SHAPE)
    assert graph.parameters == 20
    assert [node.name for node in graph] == ["image", "0", "1", "0.2"]


def test_unused_layers_are_not_counted() -> None:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 8, 1)

        def forward(self, x: Tensor) -> Tensor:
            self.spare(x)
            return self.used(x)

    graph = lower(Spare(), SHAPE)
    assert [node.name for node in graph] == ["image", "used"]
    assert graph.madds.shared == 6 * 8 * 4 * 2


def test_every_rule_is_for_a_function_that_torch_has() -> None:
    places = (torch, F, Tensor, torch.nn.functional)
    special = {"truediv", "getitem", "alias", "feature_dropout", "feature_alpha_dropout"}
    missing = {
        name for name in FUNCTIONS if not any(hasattr(place, name) for place in places)
    } - special  # fmt: skip
    assert not missing


def test_a_network_that_does_nothing_is_said_to() -> None:
    with pytest.raises(InputError, match="nothing to lower"):
        lower(nn.Sequential(nn.Identity(), nn.Dropout()), SHAPE)
