"""Integer networks as command lines name them: a file of ``rnnpool quantize``, or a network with shipped integers."""

from pathlib import Path
from typing import TYPE_CHECKING

from rnnpool.errors import InputError

if TYPE_CHECKING:
    from rnnpool.integer.network import IntNetwork

HELP = "what rnnpool quantize wrote, or the name of a network whose integers are shipped"


def shipped_integers(name: str) -> Path | None:
    """The file of the integers that the package has of a network, or None."""
    from rnnpool.models.weights import find_shipped_weights

    return find_shipped_weights(f"{name}-int8")


def open_integers(text: str) -> "IntNetwork":
    """The network that ``text`` names; a file goes before a name.

    Raises:
        InputError: neither, or a file that holds no integer network.
    """
    from rnnpool.integer.storage import load_network

    path = Path(text)
    if not path.is_file() and path.suffix != ".safetensors":
        shipped = shipped_integers(text)
        if shipped is None:
            raise InputError(f"{text}: no such file, and no network whose integers are shipped (rnnpool quantize)")
        path = shipped
    return load_network(path)
