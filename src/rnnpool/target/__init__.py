"""Build and run C: an emulated Cortex-M4 that counts instructions and faults past its RAM, and the host's compiler."""

from rnnpool.target.build import Firmware, Sizes, build_firmware
from rnnpool.target.counting import Profile
from rnnpool.target.emulator import Run, run_firmware
from rnnpool.target.host import build_executable, build_shared_library
from rnnpool.target.machines import MACHINES, Machine

__all__ = [
    "MACHINES",
    "Firmware",
    "Machine",
    "Profile",
    "Run",
    "Sizes",
    "build_executable",
    "build_firmware",
    "build_shared_library",
    "run_firmware",
]
