"""C for browsers: a freestanding WebAssembly module that imports nothing."""

from collections.abc import Sequence
from pathlib import Path

from rnnpool.errors import InputError
from rnnpool.target.build import WARNING_FLAGS
from rnnpool.target.toolchain import CLANG, WASM_LD, CompileError, find_tool, run_tool

_LIBRARY = Path(__file__).parent / "freestanding"
STACK_BYTES = 64 * 1024  # the least that the linker gives by itself; the networks' deepest calls take some hundred
_COMPILE_FLAGS = ("--target=wasm32", "-std=c99", "-O3", "-msimd128", "-mbulk-memory", "-ffreestanding", *WARNING_FLAGS)
# Stack first: running over it leaves the memory, which ends the program, instead of silently spoiling data.
_LINK_FLAGS = ("--no-entry", "--gc-sections", "--strip-all", "--stack-first", "-z", f"stack-size={STACK_BYTES}")


def build_wasm(sources: Sequence[Path], output: Path, *, includes: Sequence[Path] = ()) -> Path:
    """Compile C99 into ``output`` (.wasm), with SIMD; its exports are the functions that have an ``export_name``.

    Raises:
        InputError: no clang or no wasm-ld, or a clang that was built without WebAssembly.
        CompileError: on any warning.
    """
    clang, _ = find_tool(CLANG), find_tool(WASM_LD)
    output.parent.mkdir(parents=True, exist_ok=True)
    folders = [f"-I{path}" for path in (_LIBRARY, *includes)]
    link = ["-nostdlib", "-Wl," + ",".join(_LINK_FLAGS)]
    try:
        run_tool([clang, *_COMPILE_FLAGS, *folders, *sources, *link, "-o", output])
    except CompileError as error:
        if "No available targets" in str(error):
            raise InputError(f"{clang} was built without WebAssembly; that of Debian's package clang has it") from error
        raise
    return output
