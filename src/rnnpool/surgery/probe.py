"""Shapes at chosen modules and at the network's end, from one run on the meta device."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rnnpool.errors import InputError
from rnnpool.models.shapes import meta_run


def probe(model: nn.Module, input_size: Sequence[int], paths: Sequence[str]) -> tuple[dict[str, list[Any]], Any]:
    """For each path the (inputs' shapes, output's shape) of its calls, in order; and the network's output shapes.

    Raises:
        InputError: the network does not run on ``input_size``, or not on the meta device.
    """
    calls: dict[str, list[Any]] = {path: [] for path in paths}

    def hook(path: str) -> Callable[[nn.Module, tuple, Any], None]:
        def note(module: nn.Module, inputs: tuple, output: Any) -> None:
            calls[path].append((shapes_of(inputs), shapes_of(output)))

        return note

    handles = [model.get_submodule(path).register_forward_hook(hook(path)) for path in dict.fromkeys(paths)]
    try:
        output = meta_run(model, (1, *input_size))
    except InputError:
        raise
    except Exception as error:  # whatever the user's forward raises
        size = "x".join(map(str, input_size))
        raise InputError(
            f"{type(model).__name__} does not run on a {size} input without data (torch's meta device): {error}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return calls, shapes_of(output)


def shapes_of(value: Any) -> Any:
    """The same structure with each tensor's shape, without its batch, in its place."""
    if isinstance(value, Tensor):
        return tuple(value.shape[1:])
    if isinstance(value, dict):
        return {key: shapes_of(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [shapes_of(entry) for entry in value]
    return type(value).__name__


def map_shape(shapes: Any, what: str) -> tuple[int, int, int]:
    """The one (C, H, W) that ``shapes`` holds; InputError if it is anything else."""
    while isinstance(shapes, list) and len(shapes) == 1:
        shapes = shapes[0]
    if isinstance(shapes, tuple) and len(shapes) == 3:
        return shapes
    raise InputError(f"{what} is {shapes}; RNNPool takes and gives one map (C, H, W)")


def check_size(input_size: Sequence[int]) -> tuple[int, int, int]:
    """``input_size`` as (C, H, W); InputError for anything else."""
    size = tuple(input_size) if isinstance(input_size, Sequence) else ()
    if len(size) != 3 or not all(isinstance(n, int) and n >= 1 for n in size):
        raise InputError(f"input_size is {input_size!r}; it must be (channels, height, width)")
    return size


def same_place(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Device and floating type of the network's first parameter, for a new layer."""
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    return (first.device, first.dtype) if first is not None else (torch.device("cpu"), torch.get_default_dtype())
