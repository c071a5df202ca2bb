"""Trained parameters on disk: safetensors files that say which network they belong to.

The metadata entry "model" is the registry name, "model_options" what ``create_model`` was given besides, as JSON;
``load_weights`` refuses the file of another network. Shipped files
are ``weights/NAME.safetensors`` in the repository, ``rnnpool/weights/`` in the wheel.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from rnnpool.errors import InputError
from rnnpool.files import atomic_path
from rnnpool.shipped import shipped_files


def find_shipped_weights(name: str) -> Path | None:
    """The shipped file of a network, or None where the package has none."""
    return shipped_files("weights", ".safetensors").get(name)


def shipped_weights(name: str) -> Path:
    """The shipped file of a network; InputError if the package has none."""
    path = find_shipped_weights(name)
    if path is None:
        raise InputError(f"no trained weights are shipped for model {name!r}; give a file of them (--weights FILE)")
    return path


def save_weights(model: nn.Module, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the state of ``model`` (made by ``create_model``) with ``metadata``, atomically."""
    entries = {"model": _name_of(model)} | dict(metadata or {})
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in model.state_dict().items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(state, metadata=entries))  # save_file's would be readable by their owner alone


def load_weights(model: nn.Module, path: str | Path) -> dict[str, str]:
    """Copy a file's tensors into ``model`` and return the file's metadata.

    Raises:
        InputError: the file is missing, truncated or no safetensors file, belongs to another network, lacks or
            exceeds the model's tensors, or holds one of another shape.
    """
    name = _name_of(model)
    state, metadata = read_weights(Path(path))
    check_owner(path, metadata, name)
    _check(model.state_dict(), state, Path(path), name)
    model.load_state_dict(state)
    return metadata


def network_of(path: str | Path) -> tuple[str, dict[str, Any]]:
    """The registry name, and the options of ``create_model``, of the network that a file is of.

    Raises:
        InputError: a file that cannot be read, or that does not name its network.
    """
    metadata = read_metadata(Path(path))
    _refuse_integers(path, metadata)
    if "model" not in metadata:
        raise InputError(f"{path}: does not name its network (rnnpool train writes it)")
    try:
        return metadata["model"], json.loads(metadata.get("model_options", "{}"))
    except ValueError as error:
        raise InputError(f"{path}: the options of its network are damaged: {error}") from error


def check_owner(path: str | Path, metadata: Mapping[str, str], name: str) -> None:
    """InputError unless a file with this metadata holds weights of the network ``name``.

    ``load_weights`` calls it; whoever makes a network with the file's options calls it before, since the options of
    another network need not be this one's.
    """
    _refuse_integers(path, metadata)
    owner = metadata.get("model")
    if owner != name:
        raise InputError(f"{path}: holds weights of model {owner or '(not named)'!r}, not of {name!r}")


def _refuse_integers(path: str | Path, metadata: Mapping[str, str]) -> None:
    from rnnpool.integer.storage import ENTRY

    if ENTRY in metadata:
        raise InputError(
            f"{path}: holds the integers of rnnpool quantize, not the weights of training; rnnpool firmware, rnnpool "
            "compile and rnnpool detect --engine c take it"
        )


def _name_of(model: nn.Module) -> str:
    name = getattr(model, "registry_name", None)
    if not isinstance(name, str):
        raise InputError(f"{type(model).__name__} was not made by create_model, so its weights have no model's name")
    return name


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; InputError if it is missing or not whole."""
    with _opened(path) as file:
        return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


def read_metadata(path: Path) -> dict[str, str]:
    """As of ``read_weights``, without the tensors."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise InputError(f"{path}: there is no such weights file")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error})") from error


def _check(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path, name: str) -> None:
    """Every tensor of the model must be in the file, in its shape, and nothing else."""
    for key in wanted.keys() - found.keys():
        raise InputError(f"{path}: lacks tensor {key!r} of model {name!r}")
    for key in found.keys() - wanted.keys():
        raise InputError(f"{path}: has a tensor {key!r} that model {name!r} does not have")
    for key, tensor in found.items():
        if tensor.shape != wanted[key].shape:
            shapes = f"{tuple(tensor.shape)} in the file, {tuple(wanted[key].shape)} in model {name!r}"
            raise InputError(f"{path}: tensor {key!r} has shape {shapes} (other options when it was made?)")
        if torch.is_floating_point(tensor) and not torch.isfinite(tensor).all():
            raise InputError(f"{path}: tensor {key!r} holds values that are not finite")
