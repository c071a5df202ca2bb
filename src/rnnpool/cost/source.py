"""Networks as the command line names them: a registered name, or module:function of the user's own."""

import importlib
import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import nn

from rnnpool.errors import InputError


def load_network(name: str, *, values: bool = True) -> tuple[nn.Module, tuple[int, int, int] | None]:
    """The module, and the input shape (C, H, W) that is registered for it.

    ``values``: False leaves the weights of a registered network without values, which counting does not need.
    ``module:function`` is imported with the current folder on the path, and called without arguments; the function may
    also be a class or a module object that is there already.

    Raises:
        InputError: no such model, module or function, one that fails, or what it returns is no torch module.
    """
    if ":" not in name:
        from rnnpool.models import create_model, model_info

        with nullcontext() if values else torch.device("meta"):
            return create_model(name), model_info(name).input_size
    module_name, _, attribute = name.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module does when it is run
        raise InputError(f"{name}: module {module_name!r} cannot be imported ({_words(error)})") from error
    found = getattr(module, attribute, None)
    if not callable(found):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise InputError(f"{name}: module {module_name!r} has no function {attribute!r}; it has {', '.join(names)}")
    try:
        network = found if isinstance(found, nn.Module) else found()
    except Exception as error:
        raise InputError(f"{name}: {attribute}() failed ({_words(error)})") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"{name} returned a {type(network).__name__}; it must return a torch.nn.Module")
    return network, None


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def parse_shape(text: str) -> tuple[int, int, int]:
    """ "3x224x224" -> (3, 224, 224)."""
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"--input is {text!r}; it must be CHANNELSxHEIGHTxWIDTH, such as 3x224x224")
    channels, height, width = (int(part) for part in parts)
    return channels, height, width


def input_shape(name: str, given: str | None, registered: tuple[int, int, int] | None) -> tuple[int, int, int]:
    """The shape asked for, or the registered one; InputError if there is neither."""
    if given is not None:
        return parse_shape(given)
    if registered is None:
        raise InputError(f"{name} has no registered input; give --input CHANNELSxHEIGHTxWIDTH")
    return registered
