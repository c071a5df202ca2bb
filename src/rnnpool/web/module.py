"""The WebAssembly of a network: the C that ``rnnpool compile`` writes, between an image and results in its memory.

Exports: ``memory``; ``image()`` and ``results()``, the addresses of the image (H, W, C) and of the results;
``run(threshold)``, which gives how many detections there are, 0 for class scores, or an error below 0 (``STATUS``).
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from rnnpool.compile.emit import Compiled, compile_network, multiply_adds, render
from rnnpool.compile.results import kind_of_results
from rnnpool.errors import InputError
from rnnpool.files import write_text
from rnnpool.integer.head import IntHead
from rnnpool.integer.network import IntNetwork
from rnnpool.target.toolchain import WASM_TOOLS, find_tool
from rnnpool.target.wasm import build_wasm

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Module:
    """A network's module and what it is made of.

    Attributes:
        name: the network's, as a C identifier.
        arena_bytes: RAM that the network works in, on the chip as here.
    """

    name: str
    network: IntNetwork
    head: IntHead | None
    arena_bytes: int
    multiply_adds: int
    wasm: bytes


def build_module(network: IntNetwork, head: IntHead | None, name: str | None = None) -> Module:
    """Compile a network to WebAssembly.

    Args:
        head: of a detector (``integer.detector.find_integer_head``); None: the only output is a vector of class scores.
        name: as ``compile_network`` takes it.

    Raises:
        InputError: a network that gives neither detections nor class scores, no clang or wasm-ld, or as
            ``compile_network``.
    """
    if kind_of_results(network, head) == "rows":
        raise InputError(f"{network.name} gives maps; a page shows detections, or the scores of classes")
    for tool in WASM_TOOLS:  # a large network is planned for many seconds, in vain without them
        find_tool(tool)
    with tempfile.TemporaryDirectory(prefix="rnnpool-web-") as temporary:
        compiled = compile_network(network, Path(temporary), name=name, head=head)
        wasm = _compile(compiled)
    operations = sum(multiply_adds(node) for node in network.nodes)
    return Module(compiled.name, network, head, compiled.plan.bytes, operations, wasm)


def _compile(compiled: Compiled) -> bytes:
    glue = compiled.folder / "module.c"
    values = {"name": compiled.name, "NAME": compiled.name.upper(), "kind": compiled.kind}
    write_text(glue, render("module.c.j2", values, TEMPLATES))
    sources = [glue, *(source for source in compiled.sources if source.suffix == ".c")]
    return build_wasm(sources, compiled.folder / "module.wasm", includes=compiled.includes).read_bytes()
