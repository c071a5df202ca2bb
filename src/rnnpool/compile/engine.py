"""An integer detector that computes with its own C, compiled for the machine at hand: ``rnnpool detect --engine c``.

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
from rnnpool.integer.network import IntNetwork, IntNode
from rnnpool.integer.storage import network_bytes
from rnnpool.models.detector import Head
from rnnpool.nn.native.build import cache_folder, processor
from rnnpool.target.toolchain import HOST_GCC, CompileError, find_tool

_NAME = "network"
_FLAGS = ("-O3", "-march=native")
_PORTABLE_FLAGS = ("-O3",)  # for compilers that do not know their machine


class CDetector(IntDetector):
    """``IntDetector``, bit for bit.

    ``notify`` is told before a library is built, which takes some seconds.

    Raises:
        InputError: as ``IntDetector``; and when an image of a new size comes, no gcc, or an operator without a kernel.
    """

    def __init__(self, network: IntNetwork, head: Head) -> None:
        super().__init__(network, head)
        self.notify: Callable[[str], None] | None = None
        self._libraries: dict[tuple[int, ...], HostLibrary] = {}

    def find(self, image: NDArray[np.uint8], head: IntHead, threshold: int) -> NDArray[np.int64]:
        """As ``IntDetector.find``; another head than the detector's own is an InputError: it is not in the C."""
        if head is not self.integer_head:
            raise InputError("the C engine has its own overlap threshold; use the int engine for another")
        if image.shape not in self._libraries:
            self._libraries[image.shape] = self._open(image.shape)
        return self._libraries[image.shape].detect(image, threshold)

    def _open(self, shape: tuple[int, ...]) -> HostLibrary:
        """The library for images of ``shape``, from the cache or built."""
        network = sized(self.network, shape)
        size = f"{shape[2]}x{shape[1]}"
        find_tool(HOST_GCC)
        try:
            path = cache_folder() / f"detector-{size}-{_key(network)}.so"
            if not path.exists():
                with atomic_path(path) as temporary:
                    self._build(network, temporary, size)
            return HostLibrary(path, _NAME, network, self.integer_head)
        except (OSError, RuntimeError):
            with tempfile.TemporaryDirectory(prefix="rnnpool-") as folder:  # a loaded library outlives its file
                path = Path(folder) / "detector.so"
                self._build(network, path, size)
                return HostLibrary(path, _NAME, network, self.integer_head)

    def _build(self, network: IntNetwork, path: Path, size: str) -> None:
        if self.notify is not None:
            self.notify(f"compiling {network.name} for {size} images, once")
        with tempfile.TemporaryDirectory(prefix="rnnpool-") as folder:
            compiled = compile_network(network, Path(folder), name=_NAME, head=self.integer_head)
            try:
                build_library(compiled, path, _FLAGS)
            except CompileError:
                build_library(compiled, path, _PORTABLE_FLAGS)


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
