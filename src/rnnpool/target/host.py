"""C for the machine that runs Python: shared libraries for ctypes, and executables with the sanitizers on."""

from collections.abc import Sequence
from pathlib import Path

from rnnpool.target.build import WARNING_FLAGS
from rnnpool.target.toolchain import HOST_GCC, find_tool, run_tool

# Every finding ends the program, so that an exit status of 0 means none.
SANITIZER_FLAGS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")


def build_shared_library(
    sources: Sequence[Path],
    output: Path,
    *,
    includes: Sequence[Path] = (),
    defines: Sequence[str] = (),
    optimise: Sequence[str] = ("-O2",),
) -> Path:
    """Compile C99 into ``output`` (.so) for ``ctypes.CDLL``; CompileError on any warning."""
    output.parent.mkdir(parents=True, exist_ok=True)
    flags = ("-std=c99", *optimise, *WARNING_FLAGS, "-shared", "-fPIC")
    run_tool([find_tool(HOST_GCC), *flags, *_options(includes, defines), *sources, "-o", output])
    return output


def build_executable(
    sources: Sequence[Path],
    output: Path,
    *,
    includes: Sequence[Path] = (),
    defines: Sequence[str] = (),
    sanitize: bool = True,
) -> Path:
    """Compile C99 into a program, by default with the address and undefined-behaviour sanitizers."""
    output.parent.mkdir(parents=True, exist_ok=True)
    flags = ("-std=c99", *WARNING_FLAGS, *(SANITIZER_FLAGS if sanitize else ("-O2",)))
    run_tool([find_tool(HOST_GCC), *flags, *_options(includes, defines), *sources, "-o", output])
    return output


def _options(includes: Sequence[Path], defines: Sequence[str]) -> list[str]:
    return [f"-I{path}" for path in includes] + [f"-D{define}" for define in defines]
