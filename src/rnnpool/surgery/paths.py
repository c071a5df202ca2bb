"""Modules by their path in a network, with errors that name the closest ones."""

import difflib

from torch import nn

from rnnpool.errors import InputError


def find(model: nn.Module, path: str, argument: str) -> nn.Module:
    """The module at ``path``; InputError with close names if there is none."""
    modules = dict(model.named_modules())
    if path and path in modules:
        return modules[path]
    names = [name for name in modules if name]
    close = difflib.get_close_matches(path, names, n=3, cutoff=0.5) or names[:8]
    raise InputError(f"{argument} is {path!r}, which {type(model).__name__} does not have; it has {', '.join(close)}")


def is_chain(module: nn.Module) -> bool:
    """Whether the module's forward is its children one after another."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward
