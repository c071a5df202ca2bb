"""Trained weights of a base network for the part of a network that still is the base.

A unit (a block, or a convolution with its batch norm) takes its tensors if the source has every one of them under the
same name and in the same shape, and none otherwise: half a block from elsewhere is worth nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from rnnpool.errors import InputError
from rnnpool.nn import RNNPool2d

_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")  # as in torchvision's published file


@dataclass(frozen=True)
class Transfer:
    """What ``transfer_backbone`` did: the units that took their tensors, and those that keep their own, with why."""

    source: str
    taken: tuple[str, ...]
    kept: Mapping[str, str]
    tensors: int
    parameters: int

    def __str__(self) -> str:
        lines = [f"from {self.source}: {self.parameters:,} parameters of {len(self.taken)} blocks taken"]
        lines += [f"  taken {', '.join(self.taken)}"]
        lines += [f"  kept  {unit}: {reason}" for unit, reason in self.kept.items()]
        return "\n".join(lines)


def transfer_backbone(
    network: nn.Module, weights: str | Path | Mapping[str, Tensor], torchvision_name: str | None, head: str
) -> Transfer:
    """Copy into ``network`` what fits of a base network's trained weights.

    Args:
        network: a ``Classifier``.
        weights: a state dict; a file of one (.safetensors, .pt, .pth); or the name of torchvision's weights for the
            base ("IMAGENET1K_V1", "DEFAULT"), which are downloaded if they are not in torch's cache.
        torchvision_name: the base's name there, or None.
        head: torchvision's name of the last linear layer.

    Raises:
        InputError: an unknown name, a file that is missing or not a state dict, or not one unit fits.
    """
    state, source = _state(weights, torchvision_name)
    state = {_OLD_DENSENET.sub(r"\1\2", key): tensor for key, tensor in state.items()}
    nested = any(key.startswith("features.") for key in state)
    wanted = network.state_dict()
    taken: list[str] = []
    kept: dict[str, str] = {}
    chosen: dict[str, Tensor] = {}
    for unit in _units(network):
        keys = [key for key in wanted if key.startswith(f"{unit}.") and not key.endswith("num_batches_tracked")]
        sources = {key: _source_key(key, nested, head, state) for key in keys}
        reason = _misfit({key: (wanted[key], state.get(name), name) for key, name in sources.items()})
        if reason:
            kept[unit] = reason
        else:
            taken.append(unit)
            chosen |= {key: state[name] for key, name in sources.items()}
    if not taken:
        unit, reason = next(iter(kept.items()))
        raise InputError(f"{source}: no block fits this network; {unit}: {reason}")
    network.load_state_dict(chosen, strict=False)
    learnt = dict(network.named_parameters())
    count = sum(tensor.numel() for key, tensor in chosen.items() if key in learnt)
    return Transfer(source, tuple(taken), kept, len(chosen), count)


def _units(network: nn.Module) -> Iterator[str]:
    """The paths of the modules that take tensors as a whole.

    Plain sequences are opened, and blocks in which an RNNPool took a pooling's place; anything else is one unit.
    """

    def walk(path: str, module: nn.Module) -> Iterator[str]:
        pooled = any(isinstance(child, RNNPool2d) for child in module.children())
        if type(module) is nn.Sequential or pooled:
            for name, child in module.named_children():
                yield from walk(f"{path}.{name}", child)
        elif next(module.parameters(), None) is not None:
            yield path

    for name, child in network.named_children():
        yield from walk(name, child)


def _source_key(key: str, nested: bool, head: str, state: Mapping[str, Tensor]) -> str:
    """The name in the source: torchvision's ResNet and GoogLeNet have their features at the top level."""
    if key.startswith("classifier."):
        return key if key in state else head + key.removeprefix("classifier")
    return key if nested else key.removeprefix("features.")


def _misfit(tensors: Mapping[str, tuple[Tensor, Tensor | None, str]]) -> str | None:
    """Why a unit cannot take its tensors; None if it can."""
    for wanted, found, name in tensors.values():
        if found is None:
            return f"the source has no {name}"
        if found.shape != wanted.shape:
            return f"{name} is {tuple(found.shape)} there, {tuple(wanted.shape)} here"
    return None


def _state(
    weights: str | Path | Mapping[str, Tensor], torchvision_name: str | None
) -> tuple[Mapping[str, Tensor], str]:
    if isinstance(weights, Mapping):
        return weights, "the given state dict"
    path = Path(weights)
    if path.suffix in (".safetensors", ".pt", ".pth"):
        return _read(path), str(path)
    return _download(str(weights), torchvision_name), f"torchvision {torchvision_name} {weights}"


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such weights file")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise InputError(f"{path}: not a whole safetensors file ({error})") from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the unpickler or the zip reader meets
        raise InputError(f"{path}: not a file of tensors ({error})") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{path}: holds {type(state).__name__}; expected a state dict (names and tensors)")
    return state


def _download(name: str, torchvision_name: str | None) -> Mapping[str, Tensor]:
    if torchvision_name is None:
        raise InputError(f"backbone_weights is {name!r}, but torchvision does not have this network; give a file")
    from torchvision.models import get_model_weights

    known = get_model_weights(torchvision_name)
    if name not in known.__members__:
        raise InputError(f"backbone_weights is {name!r}; it may be a file or one of {', '.join(known.__members__)}")
    try:
        return known[name].get_state_dict(progress=False)
    except OSError as error:
        raise InputError(f"cannot download {known[name].url}: {error}; give a file instead") from error
