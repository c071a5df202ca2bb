"""Bytes of a number: activations, recurrent states, and sums of many activations."""

from dataclasses import dataclass

from rnnpool.errors import InputError
from rnnpool.graph import Held
from rnnpool.graph.op import Number


@dataclass(frozen=True)
class Precision:
    """How a network is stored; the names are those of the activations' type."""

    name: str
    activation: int
    state: int
    sum: int

    def bytes(self, number: Number) -> int:
        """Of one number."""
        return {"activation": self.activation, "state": self.state, "sum": self.sum}[number]

    def held_bytes(self, held: Held) -> int:
        return held.count * self.bytes(held.number)


# Sums of int8 products fit 32 bits (TFLite's specification); half floats are summed in single precision.
_TYPES = {
    "int8": Precision("int8", 1, 1, 4),
    "uint8": Precision("uint8", 1, 1, 4),
    "int16": Precision("int16", 2, 2, 4),
    "float16": Precision("float16", 2, 2, 4),
    "bfloat16": Precision("bfloat16", 2, 2, 4),
    "float32": Precision("float32", 4, 4, 4),
    "float64": Precision("float64", 8, 8, 8),
}


def precision(dtype: str = "float32", state: str | None = None) -> Precision:
    """The precision of that name; ``state`` another type for recurrent states ("int16" beside int8 maps).

    Raises:
        InputError: a type that is not known.
    """
    for name in (dtype, state):
        if name is not None and name not in _TYPES:
            raise InputError(f"dtype is {name!r}; it may be one of {', '.join(_TYPES)}")
    base = _TYPES[dtype]
    return base if state is None else Precision(base.name, base.activation, _TYPES[state].activation, base.sum)
