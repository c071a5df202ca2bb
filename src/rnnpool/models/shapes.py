"""The shape of a module's output, found without computing it: every tensor is on the meta device."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


def meta_run(module: nn.Module, input_shape: Sequence[int]) -> Any:
    """What ``module`` gives for ``input_shape`` in evaluation mode, on the meta device; the module stays as it is."""
    state = {key: tensor.to("meta") for key, tensor in (*module.named_parameters(), *module.named_buffers())}
    dtype = next((tensor.dtype for tensor in state.values() if tensor.is_floating_point()), None)
    modes = {child: child.training for child in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            image = torch.empty(tuple(input_shape), dtype=dtype, device="meta")
            return torch.func.functional_call(module, state, (image,))
    finally:
        for child, training in modes.items():
            child.training = training


def output_shape(module: nn.Module, input_shape: Sequence[int]) -> tuple[int, ...]:
    """The shape that a module of one output maps ``input_shape`` to."""
    return tuple(meta_run(module, input_shape).shape)
