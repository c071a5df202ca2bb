"""Compile the C++ here with the machine's own compiler, keep the library, load it; or say why that cannot be.

A library is kept under ``$XDG_CACHE_HOME/rnnpool`` (``~/.cache/rnnpool``) by the hash of everything it depends on:
source, flags, compiler and processor. Several processes may build at once: each writes a file of its own and renames
it. Where that folder cannot be written, the library is built in a temporary one, for this process alone.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from rnnpool.files import atomic_path

FOLDER = Path(__file__).parent
FLAGS = ("-O3", "-std=c++17", "-fPIC", "-shared", "-pthread", "-fno-math-errno", "-fno-trapping-math")
# The first that the compiler takes. The library and PyTorch share one OpenMP, where both name it alike.
TUNING = tuple((*openmp, *cpu) for openmp in (["-fopenmp"], []) for cpu in (["-march=native"], ["-mcpu=native"], []))
Library = tuple[ctypes.CDLL | None, str]

_lock = threading.Lock()
_loaded: Library | None = None


def library() -> Library:
    """The library, or None; and where it is from or why there is none. Built and loaded once a process."""
    global _loaded
    if _loaded is None:
        with _lock:
            if _loaded is None:
                _loaded = build()
    return _loaded


def build() -> Library:
    """Find or compile the library and load it."""
    compiler = find_compiler()
    if compiler is None:
        return None, "no C++ compiler found (CXX, c++, g++ or clang++)"
    target = f"sweep-{_key(compiler)}.so"
    try:
        folder = cache_folder()
        path = folder / target
        if not path.exists():
            with atomic_path(path) as temporary:
                _compile(compiler, temporary)
        return ctypes.CDLL(str(path)), f"compiled with {' '.join(compiler)}, {path}"
    except subprocess.CalledProcessError as error:
        return None, f"{shlex.join(error.cmd)} failed: {error.stderr.strip()[-500:]}"
    except (OSError, RuntimeError) as error:
        return _build_for_this_process(compiler, f"cannot keep it in the cache: {error}")


def _build_for_this_process(compiler: list[str], why: str) -> Library:
    try:
        with tempfile.TemporaryDirectory(prefix="rnnpool-") as folder:  # a loaded library outlives its file
            path = Path(folder) / "sweep.so"
            _compile(compiler, path)
            loaded = ctypes.CDLL(str(path))
    except (OSError, subprocess.CalledProcessError) as error:
        return None, f"{why}; nor build it in a temporary folder: {error}"
    return loaded, f"compiled with {' '.join(compiler)} for this process alone, {why}"


def cache_folder() -> Path:
    """Where libraries are kept; RuntimeError where there is no home folder."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "rnnpool"


def find_compiler() -> list[str] | None:
    """The command of the first compiler there is: $CXX (which may hold arguments), c++, g++, clang++."""
    for command in (shlex.split(os.environ.get("CXX", "")), ["c++"], ["g++"], ["clang++"]):
        if command and (found := shutil.which(command[0])):
            return [found, *command[1:]]
    return None


def _compile(compiler: list[str], target: Path) -> None:
    for tuning in TUNING:
        command = [*compiler, *FLAGS, *tuning, *map(str, sorted(FOLDER.glob("*.cpp"))), "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
    done.check_returncode()


def _key(compiler: list[str]) -> str:
    version = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False).stdout
    sources = (path.read_text() for path in sorted(FOLDER.iterdir()) if path.suffix in (".cpp", ".h"))
    parts = (*sources, " ".join(FLAGS), str(TUNING), " ".join(compiler), version, processor())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
