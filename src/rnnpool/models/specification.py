"""A network as the command line names it: one of the registry, or ``module:function`` of the user's own."""

import importlib
import os
import re
import sys
from typing import Any

from torch import nn

from rnnpool.errors import InputError
from rnnpool.models.registry import create_model, model_info


def network_of(specification: str, **overrides: Any) -> nn.Module:
    """The network that ``specification`` names.

    Args:
        specification: a registered name, or "module:function", where the function takes nothing (or ``overrides``) and
            returns an ``nn.Module``; modules in the current folder are found.

    Raises:
        InputError: an unknown name, a module that cannot be imported, a function it does not have, or one that fails or
            returns something else.
    """
    if ":" not in specification:
        return create_model(specification, **overrides)
    module_name, _, function_name = specification.partition(":")
    sys.path.insert(0, os.getcwd())  # an installed command does not look there by itself
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module does when it is run
        raise InputError(f"{specification}: cannot import {module_name} ({type(error).__name__}: {error})") from error
    finally:
        sys.path.remove(os.getcwd())
    function = getattr(module, function_name, None)
    if not callable(function):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise InputError(f"{specification}: {module_name} has no function {function_name!r}; it has {', '.join(names)}")
    try:
        network = function(**overrides)
    except Exception as error:
        raise InputError(f"{specification}: {function_name}() failed ({type(error).__name__}: {error})") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"{specification}: {function_name}() returned {type(network).__name__}, not a torch module")
    return network


def input_size_of(specification: str, given: str | None = None) -> tuple[int, int, int]:
    """(C, H, W) from text such as "3x224x224", or the registered default of the network.

    Raises:
        InputError: text of another form, or none for a network that has no default.
    """
    if given is not None:
        if not (match := re.fullmatch(r"([1-9]\d*)x([1-9]\d*)x([1-9]\d*)", given)):
            raise InputError(f"input is {given!r}; it must be CHANNELSxHEIGHTxWIDTH, for example 3x224x224")
        channels, height, width = map(int, match.groups())
        return channels, height, width
    size = None if ":" in specification else model_info(specification).input_size
    if size is None:
        raise InputError(f"{specification} has no default input; give it: --input 3x224x224")
    return size
