"""Finding the external programs, and saying which package brings one that is missing."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rnnpool.errors import InputError

ARM_GCC = "arm-none-eabi-gcc"
ARM_NM = "arm-none-eabi-nm"
ARM_OBJDUMP = "arm-none-eabi-objdump"
ARM_SIZE = "arm-none-eabi-size"
QEMU = "qemu-system-arm"
HOST_GCC = "gcc"
CLANG = "clang"
WASM_LD = "wasm-ld"

# newlib has to be named: Debian only recommends it, and without it there is no string.h.
_PACKAGES = {
    ARM_GCC: "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    ARM_NM: "binutils-arm-none-eabi",
    ARM_OBJDUMP: "binutils-arm-none-eabi",
    ARM_SIZE: "binutils-arm-none-eabi",
    QEMU: "qemu-system-arm",
    HOST_GCC: "gcc libc6-dev",
    CLANG: "clang lld",
    WASM_LD: "clang lld",
}
FIRMWARE_TOOLS = (ARM_GCC, ARM_NM, ARM_OBJDUMP, ARM_SIZE, QEMU)
WASM_TOOLS = (CLANG, WASM_LD)


def find_tool(name: str) -> str:
    """The path of a program; InputError with the apt packages that bring it."""
    path = shutil.which(name)
    if path is None:
        raise InputError(f"{name} is not installed; on Debian: apt-get install {_PACKAGES[name]}")
    return path


def missing_tools(names: Sequence[str] = FIRMWARE_TOOLS) -> str | None:
    """None when every program is there, else one line that says what to install."""
    missing = [name for name in names if shutil.which(name) is None]
    if not missing:
        return None
    packages = dict.fromkeys(word for name in missing for word in _PACKAGES[name].split())
    return f"{', '.join(missing)} not installed (apt-get install {' '.join(packages)})"


class CompileError(RuntimeError):
    """C that does not compile or link; the message holds the command and the compiler's own words."""


def run_tool(command: Sequence[str | Path], cwd: Path | None = None) -> str:
    """Run a compiler, linker or binutil and return its stdout; CompileError if it fails or warns on stderr."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stderr.strip():
        raise CompileError(f"{' '.join(words)}\n{done.stderr.strip()}")
    return done.stdout
