"""From integer networks to C: packed parameters, and the runtime's kernels (runtime/)."""

from pathlib import Path

RUNTIME_FOLDER = Path(__file__).parent / "runtime"


def runtime_sources(*, portable: bool = False) -> list[Path]:
    """The kernels' files: C, and unless ``portable`` the assembly that replaces their innermost loops on Cortex-M4."""
    patterns = ("*.c",) if portable else ("*.c", "*.S")
    return sorted(path for pattern in patterns for path in RUNTIME_FOLDER.glob(pattern))
