"""Every registered network: its graph computes what the module computes, and counts the module's parameters."""

import inspect
import re

import pytest
import torch
from torch import nn

from rnnpool.graph import Graph, fold_batch_norm, lower
from rnnpool.graph.ops import BatchNorm
from rnnpool.models import create_model, list_models, model_info

# The widths in between are the code of the widest and the narrowest; "max" is that of "avg" but for its pooling, and
# the last pooling of all families is one code.
SAME = re.compile(r"mobilenet_v1_0[57].*|(?!mobilenet_v2).*-(max|last|rnnpool-last)")
NAMES = [name for name in list_models() if not SAME.fullmatch(name)]


def small(name: str) -> tuple[nn.Module, tuple[int, int, int]]:
    """The network with random statistics, for an image no larger than it takes."""
    info = model_info(name)
    assert info.input_size is not None
    channels = info.input_size[0]
    height, width = (128, 96) if info.task == "detection" else (64, 64)
    options = inspect.signature(info.builder).parameters
    model = create_model(name, **({"input_size": (height, width)} if "input_size" in options else {}))
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval(), (channels, height, width)


def worst(graph: Graph, model: nn.Module, image: torch.Tensor) -> float:
    """Largest difference of any output, relative to that output's largest value."""
    with torch.no_grad():
        expected = model(image)
    expected = [expected] if isinstance(expected, torch.Tensor) else list(expected)
    found = graph.run(image)
    assert [tuple(each.shape) for each in found] == [tuple(each.shape) for each in expected]
    assert [(image.shape[0], *node.shape) for node in graph.outputs] == [tuple(each.shape) for each in expected]
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_graph_computes_what_the_network_computes(name: str) -> None:
    model, shape = small(name)
    graph = lower(model, shape)
    image = torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))
    assert worst(graph, model, image) == 0
    assert graph.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert len({node.name for node in graph}) == len(graph)


@pytest.mark.parametrize("name", ["face-tiny", "face-m4", "densenet121", "mobilenet_v2_035-rnnpool"])
def test_folding_batch_norm_changes_nothing(name: str) -> None:
    model, shape = small(name)
    folded = fold_batch_norm(lower(model, shape))
    assert not any(isinstance(node.op, BatchNorm) for node in folded)
    image = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    assert worst(folded, model, image) < 1e-4


def test_lowering_leaves_the_module_as_it_was() -> None:
    model, shape = small("face-tiny")
    model.train()
    model.stages[0].eval()
    modes = [module.training for module in model.modules()]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    lower(model, shape)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not any("forward" in vars(module) for module in model.modules())
