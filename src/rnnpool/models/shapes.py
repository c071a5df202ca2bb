"""The shape of a module's output, found without computing it: every tensor is on the meta device."""

from collections.abc import Sequence

import torch
from torch import nn


def output_shape(module: nn.Module, input_shape: Sequence[int]) -> tuple[int, ...]:
    """The shape that ``module`` maps ``input_shape`` to in evaluation mode; the module stays as it is."""
    state = {key: tensor.to("meta") for key, tensor in (*module.named_parameters(), *module.named_buffers())}
    modes = {child: child.training for child in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            y = torch.func.functional_call(module, state, (torch.empty(tuple(input_shape), device="meta"),))
    finally:
        for child, training in modes.items():
            child.training = training
    return tuple(y.shape)
