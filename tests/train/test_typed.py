"""Recipe fields: types, ranges and names are checked, and every complaint names the key."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from rnnpool.errors import InputError
from rnnpool.train.typed import from_mapping


@dataclass(frozen=True)
class Inner:
    depth: int = 1


@dataclass(frozen=True)
class Outer:
    name: str
    rate: float = 0.1
    kind: Literal["sgd", "adamw"] = "sgd"
    span: tuple[float, float] = (0.0, 1.0)
    names: tuple[str, ...] = ()
    densities: dict[str, float] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)
    note: str | None = None


def test_values_take_their_types():
    made = from_mapping(
        Outer,
        {"name": "a", "rate": "3e-3", "span": [1, 2], "names": ["x"], "densities": {"w": 1}, "inner": {"depth": 4}},
    )
    assert made == Outer("a", 3e-3, span=(1.0, 2.0), names=("x",), densities={"w": 1.0}, inner=Inner(4))
    assert isinstance(made.span[0], float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"raet": 1}, "unknown field data.raet.*did you mean 'rate'"),
        ({"rate": "fast"}, "data.rate must be float, not str 'fast'"),
        ({"rate": float("nan")}, "data.rate is nan; it must be a finite number"),
        ({"rate": "inf"}, "data.rate is inf; it must be a finite number"),
        ({"rate": 10**400}, "data.rate must be float, not int"),
        ({"span": [1, float("inf")]}, r"data.span\[1\] is inf"),
        ({"rate": True}, "data.rate must be float, not bool"),
        ({"kind": "adam"}, "data.kind is 'adam'.*did you mean 'adamw'"),
        ({"span": [1, 2, 3]}, "data.span must have 2 entries, not 3"),
        ({"names": "x"}, "data.names must be a list"),
        ({"inner": {"depth": 1.5}}, "data.inner.depth must be int"),
        ({"densities": {"w": "half"}}, "data.densities.w must be float"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    with pytest.raises(InputError, match=message):
        from_mapping(Outer, {"name": "a"} | change, "data")


def test_missing_field_is_named():
    with pytest.raises(InputError, match=r"lacks data\.name"):
        from_mapping(Outer, {}, "data")
