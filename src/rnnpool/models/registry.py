"""The table of networks by name: modules add builders with ``register``; users call ``create_model``.

A builder is a function that returns an ``nn.Module``; what may be overridden (``in_channels``, ``input_size``,
``num_classes``, ...) is simply its keyword arguments. Entries hold no module, so that listing them builds nothing.
"""

import difflib
import fnmatch
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from rnnpool.errors import InputError

Builder = Callable[..., nn.Module]


@dataclass(frozen=True)
class ModelInfo:
    """What the registry knows of a network without building it."""

    name: str
    summary: str
    task: str  # "detection" | "classification"
    input_size: tuple[int, int, int] | None  # (C, H, W) of the default input
    builder: Builder


_REGISTRY: dict[str, ModelInfo] = {}


def register(
    name: str,
    *,
    summary: str,
    task: str = "detection",
    input_size: tuple[int, int, int] | None = None,
) -> Callable[[Builder], Builder]:
    """Add the decorated builder under ``name``; also callable in a loop over a table of networks.

    Raises:
        ValueError: the name is taken (two modules of this package disagree, which is no user's mistake).
    """

    def add(builder: Builder) -> Builder:
        if name in _REGISTRY:
            raise ValueError(f"a model named {name!r} is registered already")
        _REGISTRY[name] = ModelInfo(name, summary, task, input_size, builder)
        return builder

    return add


def list_models(pattern: str = "*") -> list[str]:
    """Names that match a shell pattern (``"face-*"``), sorted."""
    return sorted(fnmatch.filter(_REGISTRY, pattern))


def model_info(name: str) -> ModelInfo:
    """The entry of ``name``; an unknown name is an InputError with the closest ones there are."""
    if name not in _REGISTRY:
        close = difflib.get_close_matches(name, _REGISTRY, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else "rnnpool models and list_models() name them all"
        raise InputError(f"there is no model named {name!r}; {hint}")
    return _REGISTRY[name]


def create_model(name: str, /, *, weights: str | Path | None = None, **overrides: object) -> nn.Module:
    """Build the network ``name``.

    Args:
        weights: None for random ones, "default" for those shipped with the package, or a .safetensors file.
        overrides: keyword arguments of the builder that differ from its defaults, or from what the file says.

    Raises:
        InputError: unknown name or override, no shipped weights, or a file that does not fit.
    """
    from rnnpool.models.weights import load_weights, shipped_weights, weights_info

    builder = model_info(name).builder
    path = None if weights is None else shipped_weights(name) if str(weights) == "default" else Path(weights)
    if path is not None:
        said = weights_info(path)
        # The options of another network's file would fail before the file is refused.
        overrides = {**(said.options if said.model == name else {}), **overrides}
        overrides.pop("backbone_weights", None)  # what training began with; it may be a file of another machine
    accepted = inspect.signature(builder).parameters
    for key in overrides:
        if key not in accepted:
            raise InputError(f"model {name!r} has no option {key!r}; it has: {', '.join(accepted) or 'none'}")
    model = builder(**overrides)
    model.registry_name = name  # type: ignore[assignment]  # what load_weights and save_weights call the network
    if path is not None:
        load_weights(model, path)
    return model
