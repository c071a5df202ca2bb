"""Snippets of C run on given arrays, in the emulator (counted) or on the host (with sanitizers).

Each array of a case becomes a static array of its own, so that AddressSanitizer sees every access beyond one.
"""

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnpool.target.build import FIRMWARE_FOLDER, build_firmware
from rnnpool.target.counting import Profile
from rnnpool.target.emulator import run_firmware
from rnnpool.target.host import build_executable

_C_TYPES = {"u1": "uint8_t", "i1": "int8_t", "u2": "uint16_t", "i2": "int16_t", "u4": "uint32_t", "i4": "int32_t"}


@dataclass(frozen=True)
class Case:
    """C statements over arrays: ``@name`` in ``code`` stands for the array ``name``."""

    code: str
    arrays: Mapping[str, NDArray]


@dataclass(frozen=True)
class Result:
    """A case's arrays after its code ran, and the instructions that it took (0 on the host)."""

    arrays: dict[str, NDArray]
    instructions: int


def run_cases_on_target(
    cases: Sequence[Case],
    sources: Sequence[Path],
    includes: Sequence[Path],
    *,
    headers: Sequence[str],
    machine: str = "mps2-an386",
    defines: Sequence[str] = (),
    profile: bool = False,
) -> tuple[list[Result], Profile | None]:
    """Run cases one after the other in one emulated program.

    Args:
        sources, includes: the C files under test and the folders of their ``headers``.
        profile: also attribute instructions and estimated cycles to functions (all cases together).
    """
    with tempfile.TemporaryDirectory(prefix="rnnpool-cases-") as name:
        folder = Path(name)
        main = _write_program(cases, headers, folder)
        firmware = build_firmware([main, *sources], folder, machine=machine, includes=includes, defines=defines)
        run = run_firmware(firmware, {"in.bin": _serialise(cases)}, profile=profile)
    if run.status != 0:
        raise RuntimeError(f"the cases ended with status {run.status}: {run.output.strip()}")
    ticks = np.frombuffer(run.files["out.bin"][: 4 * (len(cases) + 1)], "<u4").astype(np.int64)
    # The first entry is what an empty case costs.
    counts = [firmware.machine.instructions(int(t - ticks[0])) for t in ticks[1:]]
    return _deserialise(cases, run.files["out.bin"][4 * (len(cases) + 1) :], counts), run.profile


def run_cases_on_host(
    cases: Sequence[Case],
    sources: Sequence[Path],
    includes: Sequence[Path],
    *,
    headers: Sequence[str],
    defines: Sequence[str] = (),
) -> list[Result]:
    """Run cases in a program with the address and undefined-behaviour sanitizers; RuntimeError with their finding."""
    with tempfile.TemporaryDirectory(prefix="rnnpool-cases-") as name:
        folder = Path(name)
        program = build_executable(
            [_write_program(cases, headers, folder), FIRMWARE_FOLDER / "board_host.c", *sources],
            folder / "cases",
            includes=[FIRMWARE_FOLDER, *includes],
            defines=defines,
        )
        (folder / "in.bin").write_bytes(_serialise(cases))
        done = subprocess.run([program], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"the cases ended with status {done.returncode}: {done.stderr.strip()}")
        data = (folder / "out.bin").read_bytes()
    return _deserialise(cases, data[4 * (len(cases) + 1) :], [0] * len(cases))


def _arrays(cases: Sequence[Case]) -> list[tuple[str, NDArray]]:
    return [(f"case{i}_{name}", array) for i, case in enumerate(cases) for name, array in case.arrays.items()]


def _serialise(cases: Sequence[Case]) -> bytes:
    return b"".join(np.ascontiguousarray(array).tobytes() for _, array in _arrays(cases))


def _deserialise(cases: Sequence[Case], data: bytes, counts: Sequence[int]) -> list[Result]:
    results, offset = [], 0
    for case, count in zip(cases, counts, strict=True):
        arrays = {}
        for name, array in case.arrays.items():
            arrays[name] = np.frombuffer(data, array.dtype, array.size, offset).reshape(array.shape)
            offset += array.nbytes
        results.append(Result(arrays, count))
    return results


def _write_program(cases: Sequence[Case], headers: Sequence[str], folder: Path) -> Path:
    arrays = _arrays(cases)
    lines = ['#include "board.h"', *(f'#include "{header}"' for header in headers)]
    lines += [
        f"static {_C_TYPES[array.dtype.str[1:]]} {name}[{max(1, array.size)}] __attribute__((aligned(8)));"
        for name, array in arrays
    ]
    for i, case in enumerate(cases):
        code = re.sub(r"@(\w+)", rf"case{i}_\1", case.code)
        # Not inlined, so that a profile shows the case and the counts hold one call each.
        lines.append(f"__attribute__((noinline)) static void case{i}(void) {{ {code} }}")
    lines += [
        '__attribute__((noinline)) static void nothing(void) { __asm volatile(""); }',
        "static uint32_t ticks[] = {" + ", ".join(["0"] * (len(cases) + 1)) + "};",
        'int main(void) { int32_t file = board_open("in.bin", 0); uint32_t before;',
        *(f"(void)board_read(file, {name}, sizeof {name});" for name, array in arrays if array.size),
        "board_close(file);",
        *(
            f"before = board_ticks(); {name}(); ticks[{i}] = board_ticks() - before;"
            for i, name in enumerate(["nothing", *(f"case{i}" for i in range(len(cases)))])
        ),
        'file = board_open("out.bin", 1); (void)board_write(file, ticks, sizeof ticks);',
        *(f"(void)board_write(file, {name}, sizeof {name});" for name, array in arrays if array.size),
        "board_close(file); return 0; }",
    ]
    path = folder / "cases.c"
    path.write_text("\n".join(lines) + "\n")
    return path
