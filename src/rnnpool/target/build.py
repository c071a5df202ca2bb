"""Firmware from C: compile for the Cortex-M4F, link into a machine's flash and RAM, report what both cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnpool.errors import InputError
from rnnpool.target.machines import Machine, find_machine
from rnnpool.target.toolchain import ARM_GCC, ARM_SIZE, find_tool, run_tool

FIRMWARE_FOLDER = Path(__file__).parent / "firmware"
BOARD_SOURCES = (FIRMWARE_FOLDER / "startup.c", FIRMWARE_FOLDER / "board.c")
CPU_FLAGS = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
# Hosted on purpose: with -ffreestanding a memcpy of four bytes becomes a call instead of one load.
COMPILE_FLAGS = ("-std=c99", "-O2", "-g", "-ffunction-sections", "-fdata-sections")
WARNING_FLAGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow")
DEFAULT_STACK = 4096

_LINKER_SCRIPT = """\
/* Stack first: running over it leaves RAM and faults, instead of silently spoiling data. */
MEMORY
{{
  FLASH (rx)  : ORIGIN = {flash_origin:#x}, LENGTH = {flash_bytes}
  RAM   (rwx) : ORIGIN = {ram_origin:#x}, LENGTH = {ram_bytes}
}}
ENTRY(Reset_Handler)
SECTIONS
{{
  .text : {{ KEEP(*(.vectors)) *(.text*) *(.rodata*) . = ALIGN(8); }} > FLASH
  .ARM.exidx : {{ *(.ARM.exidx*) }} > FLASH
  .stack (NOLOAD) : {{ rnp_stack_limit = .; . += {stack_bytes}; . = ALIGN(8); rnp_stack_top = .; }} > RAM
  .data : {{ . = ALIGN(8); rnp_data_start = .; *(.data*) . = ALIGN(8); rnp_data_end = .; }} > RAM AT > FLASH
  rnp_data_image = LOADADDR(.data);
  .bss (NOLOAD) : {{ . = ALIGN(8); rnp_bss_start = .; *(.bss*) *(COMMON) . = ALIGN(8); rnp_bss_end = .; }} > RAM
}}
"""


@dataclass(frozen=True)
class Sizes:
    """What an ELF file takes on the chip, in bytes."""

    flash: int  # code, constants, and the initial values of .data
    data: int  # .data + .bss
    stack: int  # reserved for the stack; ``Run.stack_used`` tells what was touched


@dataclass(frozen=True)
class Firmware:
    """A linked program and the machine it was linked for."""

    elf: Path
    machine: Machine
    sizes: Sizes


def build_firmware(
    sources: Sequence[Path],
    folder: Path,
    *,
    machine: str = "netduinoplus2",
    includes: Sequence[Path] = (),
    defines: Sequence[str] = (),
    ram_bytes: int | None = None,
    stack_bytes: int = DEFAULT_STACK,
) -> Firmware:
    """Compile C and assembly sources with the start-up code and link them into ``folder``/firmware.elf.

    Args:
        sources: files with a ``main`` among them; they may include "board.h".
        ram_bytes: limit for stack, .data and .bss together; the machine's own RAM when None.

    Raises:
        InputError: unknown machine, a limit beyond its RAM, or no toolchain.
        CompileError: the code does not compile without a warning, or does not fit.
    """
    board = find_machine(machine)
    ram = board.ram[1] if ram_bytes is None else ram_bytes
    if not 0 < ram <= board.ram[1]:
        raise InputError(f"ram_bytes is {ram}; {machine} has {board.ram[1]}")
    gcc = find_tool(ARM_GCC)
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "link.ld"
    script.write_text(
        _LINKER_SCRIPT.format(
            flash_origin=board.flash[0],
            flash_bytes=board.flash[1],
            ram_origin=board.ram[0],
            ram_bytes=ram,
            stack_bytes=stack_bytes,
        )
    )
    elf = folder / "firmware.elf"
    run_tool(
        [
            gcc,
            *CPU_FLAGS,
            *COMPILE_FLAGS,
            *WARNING_FLAGS,
            *(f"-I{path}" for path in (FIRMWARE_FOLDER, *includes)),
            *(f"-D{define}" for define in (board.define, *defines)),
            *BOARD_SOURCES,
            *sources,
            *("-nostartfiles", "--specs=nosys.specs", "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments"),
            *("-T", script, "-o", elf),
        ]
    )
    return Firmware(elf, board, read_sizes(elf))


def read_sizes(elf: Path) -> Sizes:
    """Section sizes of a linked ELF."""
    listing = run_tool([find_tool(ARM_SIZE), "-A", elf])
    bytes_of = {name: int(size) for name, size in re.findall(r"^(\.\S+)\s+(\d+)\s", listing, re.MULTILINE)}
    initialised = bytes_of.get(".data", 0)
    return Sizes(
        flash=bytes_of[".text"] + bytes_of.get(".ARM.exidx", 0) + initialised,
        data=initialised + bytes_of.get(".bss", 0),
        stack=bytes_of[".stack"],
    )
