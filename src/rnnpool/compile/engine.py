"""An integer network that computes with its own C, compiled for the machine at hand: ``--engine c`` of the verbs.

The C of a network is made for one image size, so each size has a library. It is kept in the folder where the native
sweep is, by the hash of all that it depends on: network, size, this package's code, compiler and processor. Where that
folder cannot be written, the library is built in a temporary one, for this process alone.
"""

import functools
import hashlib
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import rnnpool
from rnnpool.compile import RUNTIME_FOLDER
from rnnpool.compile.emit import compile_network
from rnnpool.compile.host import HostLibrary, build_library
from rnnpool.errors import InputError
from rnnpool.files import atomic_path
from rnnpool.integer.detector import IntDetector
from rnnpool.integer.head import IntHead
from rnnpool.integer.module import IntModule
from rnnpool.integer.network import IntNetwork, IntNode
from rnnpool.integer.storage import network_bytes
from rnnpool.models.detector import Head
from rnnpool.nn.native.build import cache_folder, processor
from rnnpool.target.toolchain import HOST_GCC, CompileError, find_tool

_NAME = "network"
_FLAGS = ("-O3", "-march=native")
_PORTABLE_FLAGS = ("-O3",)  # for compilers that do not know their machine


class Engine:
    """The C of a network on this machine, a library for each size of images.

    ``notify`` is told before a library is built, which takes some seconds.

    Args:
        head: whose boxes the libraries find; None: they give what the network returns.
    """

    def __init__(self, network: IntNetwork, head: IntHead | None = None) -> None:
        self.network, self.head = network, head
        self.notify: Callable[[str], None] | None = None
        self._libraries: dict[tuple[int, ...], HostLibrary] = {}

    def library(self, shape: tuple[int, ...]) -> HostLibrary:
        """The functions for images (C, H, W).

        Raises:
            InputError: the network does not take that shape; or, when it is new, no gcc, or an operator without a
                kernel.
        """
        if shape not in self._libraries:
            self._libraries[shape] = self._open(shape)
        return self._libraries[shape]

    def _open(self, shape: tuple[int, ...]) -> HostLibrary:
        """The library for images of ``shape``, from the cache or built."""
        network = sized(self.network, shape)
        size = f"{shape[2]}x{shape[1]}"
        find_tool(HOST_GCC)
        try:
            kind = "network" if self.head is None else "detector"
            path = cache_folder() / f"{kind}-{size}-{_key(network)}.so"
            if not path.exists():
                with atomic_path(path) as temporary:
                    self._build(network, temporary, size)
            return HostLibrary(path, _NAME, network, self.head)
        except (OSError, RuntimeError):
            with tempfile.TemporaryDirectory(prefix="rnnpool-") as folder:  # a loaded library outlives its file
                path = Path(folder) / "network.so"
                self._build(network, path, size)
                return HostLibrary(path, _NAME, network, self.head)

    def _build(self, network: IntNetwork, path: Path, size: str) -> None:
        if self.notify is not None:
            self.notify(f"compiling {network.name} for {size} images, once")
        with tempfile.TemporaryDirectory(prefix="rnnpool-") as folder:
            compiled = compile_network(network, Path(folder), name=_NAME, head=self.head)
            try:
                build_library(compiled, path, _FLAGS)
            except CompileError:
                build_library(compiled, path, _PORTABLE_FLAGS)


class CModule(IntModule):
    """``IntModule``, bit for bit; InputError as of ``Engine.library``."""

    def __init__(self, network: IntNetwork) -> None:
        super().__init__(network)
        self.engine = Engine(network)

    def run(self, image: NDArray[np.uint8]) -> list[NDArray]:
        return list(self.engine.library(image.shape).run(image))


class CDetector(IntDetector):
    """``IntDetector``, bit for bit; InputError as of it and of ``Engine.library``."""

    def __init__(self, network: IntNetwork, head: Head) -> None:
        super().__init__(network, head)
        self.engine = Engine(network, self.integer_head)

    def find(self, image: NDArray[np.uint8], head: IntHead, threshold: int) -> NDArray[np.int64]:
        """As ``IntDetector.find``; another head than the detector's own is an InputError: it is not in the C."""
        if head is not self.integer_head:
            raise InputError("the C engine has its own overlap threshold; use the int engine for another")
        return self.engine.library(image.shape).detect(image, threshold)


def sized(network: IntNetwork, shape: tuple[int, ...]) -> IntNetwork:
    """The network for images (C, H, W) of another size; its operators stay as they are.

    Raises:
        InputError: a network that takes its own size only.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def watch(node: IntNode, value: NDArray) -> None:
        shapes[node.name] = value.shape

    network.run(np.zeros(shape, np.uint8), watch)
    return replace(network, nodes=tuple(replace(node, shape=shapes[node.name]) for node in network.nodes))


def _key(network: IntNetwork) -> str:
    return hashlib.sha256(network_bytes(network) + _builder()).hexdigest()[:16]


@functools.cache
def _builder() -> bytes:
    """A digest of all that turns a network into a library: this package's code, compiler, flags and processor."""
    package = Path(rnnpool.__file__).parent
    code = [path for folder in ("compile", "integer", "cost") for path in sorted((package / folder).rglob("*.py"))]
    code += sorted((RUNTIME_FOLDER.parent / "templates").iterdir())
    code += sorted(path for path in RUNTIME_FOLDER.iterdir() if path.suffix in (".c", ".h"))
    version = subprocess.run([find_tool(HOST_GCC), "--version"], capture_output=True, check=False).stdout
    parts = (*(path.read_bytes() for path in code), version, processor().encode(), repr(_FLAGS).encode())
    return b"".join(hashlib.sha256(part).digest() for part in parts)
