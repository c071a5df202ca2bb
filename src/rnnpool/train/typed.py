"""Plain mappings (YAML, command-line overrides) into frozen dataclasses, every key and type checked.

The types understood are those that recipes use: bool, int, float, str, Literal, X | None, tuple[X, ...], tuple[X, Y],
dict and nested dataclasses. Whatever is found wrong raises InputError naming the full key, e.g. ``train.lr``.
"""

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from rnnpool.errors import InputError

T = TypeVar("T")


def closest(name: str, known: Sequence[str]) -> str:
    """A tail for an error message: the known names, with the likeliest first if one is close."""
    matches = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {matches[0]!r}? It" if matches else "it"
    return f"{hint} may be one of: {', '.join(known)}"


def from_mapping(kind: type[T], mapping: object, where: str = "") -> T:
    """Build dataclass ``kind`` from ``mapping``; fields not given keep their defaults, unknown ones are refused."""
    if not isinstance(mapping, Mapping):
        raise InputError(f"{where or 'the recipe'} must be a mapping of fields, not {mapping!r}")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    prefix = f"{where}." if where else ""
    for key in mapping:
        if key not in fields:
            raise InputError(f"unknown field {prefix}{key}: {closest(str(key), list(fields))}")
    values = {key: convert(hints[key], value, prefix + key) for key, value in mapping.items()}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise InputError(f"the recipe lacks {prefix}{name}, which has no default")
    return kind(**values)


def convert(kind: Any, value: object, where: str) -> Any:
    """``value`` as ``kind``. Integers may stand for floats; so may text such as ``3e-3``, text to YAML 1.1."""
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return from_mapping(kind, value, where)  # type: ignore[arg-type]
    origin, options = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):  # only X | None occurs
        (inner,) = (option for option in options if option is not type(None))
        if dataclasses.is_dataclass(inner) and isinstance(value, bool):  # a section switched on, with its defaults
            value = {} if value else None
        return None if value is None else convert(inner, value, where)
    if origin is Literal:
        if value not in options:
            raise InputError(f"{where} is {value!r}: {closest(str(value), [str(option) for option in options])}")
        return value
    if origin is tuple:
        return _convert_tuple(options, value, where)
    if kind is dict or origin is dict:
        if not isinstance(value, Mapping):
            raise InputError(f"{where} must be a mapping, not {value!r}")
        (_, of_values) = options or (Any, Any)
        return {key: convert(of_values, item, f"{where}.{key}") for key, item in value.items()}
    return _convert_scalar(kind, value, where)


def _convert_tuple(options: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError(f"{where} must be a list, not {value!r}")
    if len(options) == 2 and options[1] is Ellipsis:
        options = (options[0],) * len(value)
    if len(options) != len(value):
        raise InputError(f"{where} must have {len(options)} entries, not {len(value)}: {value!r}")
    return tuple(
        convert(option, item, f"{where}[{i}]") for i, (option, item) in enumerate(zip(options, value, strict=True))
    )


def _convert_scalar(kind: type, value: object, where: str) -> Any:
    wrong = InputError(f"{where} must be {kind.__name__}, not {type(value).__name__} {value!r}")
    if kind is float and isinstance(value, int | str) and not isinstance(value, bool):
        try:
            value = float(value)
        except (ValueError, OverflowError):
            raise wrong from None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise wrong
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where} is {value}; it must be a finite number")
    return value
