"""Run firmware on QEMU: host files in and out, exit status, exact instruction counts, a profile by function."""

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rnnpool.errors import InputError
from rnnpool.target.build import Firmware
from rnnpool.target.counting import Profile, build_plugin, read_profile
from rnnpool.target.toolchain import QEMU, find_tool


@dataclass(frozen=True)
class Run:
    """What one run left behind."""

    status: int
    output: str
    files: dict[str, bytes] = field(repr=False)  # what the program wrote into its folder, by name
    profile: Profile | None = field(repr=False)


def run_firmware(
    firmware: Firmware, inputs: Mapping[str, bytes] | None = None, *, profile: bool = False, timeout_s: float = 120.0
) -> Run:
    """Start the firmware in an empty folder that holds ``inputs`` and wait until it exits.

    Args:
        inputs: files the program may open by name.
        profile: load the counting plugin (about four times slower) and return instructions and estimated cycles by
            function.

    Raises:
        InputError: no QEMU, or the program did not exit within ``timeout_s``.
    """
    qemu = find_tool(QEMU)
    machine = firmware.machine
    with tempfile.TemporaryDirectory(prefix="rnnpool-run-") as name:
        folder = Path(name)
        for file_name, data in (inputs or {}).items():
            (folder / file_name).write_bytes(data)
        command = [
            *(qemu, "-M", machine.name, "-nographic", "-monitor", "none", "-serial", "none"),
            *("-semihosting-config", "enable=on,target=native,chardev=console", "-chardev", "stdio,id=console"),
            *("-icount", f"shift={machine.icount_shift}", "-kernel", str(firmware.elf.resolve())),
        ]
        counts = folder / "counts.tsv"
        if profile:
            command += ["-plugin", f"{build_plugin()},output={counts}"]
        try:
            done = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(f"{firmware.elf.name} did not exit within {timeout_s:g} s on {machine.name}") from error
        written = {
            path.name: path.read_bytes()
            for path in sorted(folder.iterdir())
            if path != counts and path.name not in (inputs or {})
        }
        output = (done.stdout + done.stderr).decode("utf-8", "replace")
        if profile and not counts.is_file():
            raise InputError(f"the counting plugin wrote nothing; QEMU said: {output.strip() or 'nothing'}")
        return Run(done.returncode, output, written, read_profile(firmware.elf, counts) if profile else None)
