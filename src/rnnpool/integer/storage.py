"""Integer networks on disk: one safetensors file, its arrays as tensors, everything else as JSON in the metadata.

A dataclass becomes {"kind": class, field: value}, an array {"tensor": name}. Only the classes listed here are read.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from rnnpool.errors import InputError
from rnnpool.files import atomic_path
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.elementwise import IntAdd, IntMean, IntPad
from rnnpool.integer.l2norm import IntL2Norm
from rnnpool.integer.network import ChannelScales, IntNetwork, IntNode
from rnnpool.integer.recurrent import IntCell, IntProjection
from rnnpool.integer.rnnpool2d import IntRNNPool
from rnnpool.integer.tensors import Quantisation

ENTRY = "rnnpool_integer"
FORMAT = 2  # raised when the meaning of a file changes
_CLASSES = (
    IntNetwork, IntNode, IntConv, IntAdd, IntMean, IntPad, IntL2Norm, IntRNNPool, IntCell, IntProjection, Quantisation,
    ChannelScales,
)  # fmt: skip
_KINDS = {kind.__name__: kind for kind in _CLASSES}


def save_network(network: IntNetwork, path: str | Path) -> None:
    """Write ``network``, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(network_bytes(network))  # save_file's would be readable by their owner alone


def network_bytes(network: IntNetwork) -> bytes:
    """The file of ``network``; equal networks have equal ones."""
    tensors: dict[str, NDArray] = {}
    # One entry: several would be written in an order that changes from run to run.
    metadata = {ENTRY: json.dumps({"format": FORMAT, "network": _encode(network, "", tensors)})}
    return save(tensors, metadata=metadata)


def load_network(path: str | Path) -> IntNetwork:
    """The network of a file; equal to what was written, bit for bit.

    Raises:
        InputError: no such file, no whole safetensors file, or not one of ``save_network``.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file of an integer network")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error})") from error
    if ENTRY not in metadata:
        raise InputError(f"{path}: holds no integer network; rnnpool quantize makes one")
    try:
        description = json.loads(metadata[ENTRY])
        if description["format"] != FORMAT:
            raise InputError(f"{path}: is of format {description['format']!r}; this version reads format {FORMAT}")
        network = _decode(description["network"], tensors)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its description does not fit its tensors ({error!r})") from error
    if not isinstance(network, IntNetwork):
        raise InputError(f"{path}: describes a {type(network).__name__}, not a network")
    return network


def _encode(value: Any, name: str, tensors: dict[str, NDArray]) -> Any:
    if isinstance(value, np.ndarray):
        tensors[name] = np.ascontiguousarray(value)
        return {"tensor": name}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {item.name: _encode(getattr(value, item.name), f"{name}.{item.name}", tensors)
                  for item in dataclasses.fields(value)}  # fmt: skip
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, tuple | list):
        return [_encode(item, f"{name}.{number}".lstrip("."), tensors) for number, item in enumerate(value)]
    if isinstance(value, dict):
        return {"entries": value}
    return value


def _decode(value: Any, tensors: dict[str, NDArray]) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item, tensors) for item in value)
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "entries" in value:
        return dict(value["entries"])
    fields = dict(value)
    return _KINDS[fields.pop("kind")](**{key: _decode(item, tensors) for key, item in fields.items()})
