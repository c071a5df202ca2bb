"""Trained parameters on disk: safetensors files that say which network they belong to.

``WeightsInfo`` lists what a file says of itself; ``load_weights`` refuses the file of another network. Shipped files
are ``weights/NAME.safetensors`` in the repository, ``rnnpool/weights/`` in the wheel.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from rnnpool.errors import InputError
from rnnpool.files import atomic_path
from rnnpool.shipped import shipped_files


@dataclass(frozen=True)
class Trained:
    """What a network was trained on; empty where its file does not say.

    Attributes:
        data: the data section of its recipe.
        digest: of the names of classes and samples (rnnpool.data.digest).
    """

    data: dict[str, Any] = field(default_factory=dict)
    digest: str = ""

    def entries(self) -> dict[str, str]:
        """For the metadata of its integers."""
        return {"data": json.dumps(self.data), "data_digest": self.digest} if self.data else {}

    @classmethod
    def of_entries(cls, metadata: Mapping[str, str]) -> Self:
        """From the metadata of integers."""
        return cls(json.loads(metadata.get("data", "{}")), metadata.get("data_digest", ""))


@dataclass(frozen=True)
class WeightsInfo:
    """What a file of weights says of itself; what it does not say is empty.

    Attributes:
        model: the registry name of its network (the file's metadata entry of this name).
        options: what ``create_model`` was given besides ("model_options", as JSON; so are the following).
        view: how a classifier sees images: the fields of ``rnnpool.data.view.View``.
        classes: a classifier's.
        trained: what the network was trained on ("recipe" and "data_digest").
        integers: the ranges that it was trained to be rounded with, for ``Calibrated.from_json``.
    """

    model: str
    options: dict[str, Any]
    view: dict[str, Any]
    classes: tuple[str, ...]
    trained: Trained
    integers: str


def weights_info(path: str | Path) -> WeightsInfo:
    """Read what a file says, without its tensors.

    Raises:
        InputError: a file that is missing or not whole, one of integers, or an entry that is damaged.
    """
    with _opened(Path(path)) as file:
        metadata = dict(file.metadata() or {})

    def entry(key: str, kind: type) -> Any:
        try:
            value = json.loads(metadata[key]) if key in metadata else kind()
        except ValueError as error:
            raise InputError(f"{path}: its entry {key!r} is damaged: {error}") from error
        if not isinstance(value, kind):
            raise InputError(f"{path}: its entry {key!r} is {value!r}; it must be a {kind.__name__}")
        return value

    return WeightsInfo(
        model=metadata.get("model", ""),
        options=entry("model_options", dict),
        view=entry("view", dict),
        classes=tuple(entry("classes", list)),
        trained=Trained(entry("recipe", dict).get("data", {}), metadata.get("data_digest", "")),
        integers=metadata.get("integers", ""),
    )


def network_of(path: str | Path) -> str:
    """The registry name of the network that a file is of; InputError as of ``weights_info``, or if it does not say."""
    name = weights_info(path).model
    if not name:
        raise InputError(f"{path}: does not name its network (rnnpool train writes it)")
    return name


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
    owner = metadata.get("model")
    if owner != name:
        raise InputError(f"{path}: holds weights of model {owner or '(not named)'!r}, not of {name!r}")
    _check(model.state_dict(), state, Path(path), name)
    model.load_state_dict(state)
    return metadata


def _name_of(model: nn.Module) -> str:
    name = getattr(model, "registry_name", None)
    if not isinstance(name, str):
        raise InputError(f"{type(model).__name__} was not made by create_model, so its weights have no model's name")
    return name


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; InputError if it is missing, not whole, or one of integers."""
    with _opened(path) as file:
        return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from rnnpool.integer.storage import ENTRY

    if not path.is_file():
        raise InputError(f"{path}: there is no such weights file")
    try:
        with safe_open(path, framework="pt") as file:
            if ENTRY in (file.metadata() or {}):
                raise InputError(
                    f"{path}: holds the integers of rnnpool quantize, not the weights of training; rnnpool compile and "
                    "rnnpool firmware take it, and detect, classify and evaluate with --engine int or c"
                )
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
