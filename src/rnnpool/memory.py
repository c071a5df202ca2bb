"""Keep freed memory for the next allocation instead of giving it back to the kernel.

glibc returns every large freed block at once, so each step of a CPU training run touches fresh pages and takes a fault
for each: half of the time of a small network. Long-running programs (training, benchmarks) call this once at start.
"""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def reuse_freed_memory() -> bool:
    """Raise glibc's thresholds for this process; False where the C library has no such knob (not glibc)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
