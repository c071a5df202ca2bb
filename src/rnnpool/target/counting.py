"""Instructions and estimated Cortex-M4 cycles by function, from a QEMU plugin's block counts and the disassembly.

Cycles: Arm DDI 0439 ("Cortex-M4 Technical Reference Manual"), table 3-1, with pipelining of neighbouring loads and
stores and without flash wait states. They are an estimate, and called so wherever they are printed.
"""

import bisect
import functools
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rnnpool.target.toolchain import ARM_NM, ARM_OBJDUMP, HOST_GCC, find_tool, run_tool

_PLUGIN_SOURCE = Path(__file__).with_name("counting_plugin.c")


@dataclass(frozen=True)
class Cost:
    """Executed instructions and estimated cycles."""

    instructions: int
    cycles: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.instructions + other.instructions, self.cycles + other.cycles)


@dataclass(frozen=True)
class Profile:
    """Costs of one run by function, the costliest first; what a function calls is not in its own cost."""

    functions: dict[str, Cost]

    @property
    def total(self) -> Cost:
        return sum(self.functions.values(), Cost(0, 0))


@functools.cache
def build_plugin() -> Path:
    """Compile the counting plugin with the host's gcc, once a process."""
    folder = Path(tempfile.mkdtemp(prefix="rnnpool-plugin-"))
    library = folder / "counting.so"
    run_tool([find_tool(HOST_GCC), "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", _PLUGIN_SOURCE, "-o", library])
    return library


def read_profile(elf: Path, counts: Path) -> Profile:
    """Attribute the plugin's block counts to the ELF's functions."""
    listing = _disassemble(elf)
    owner = _function_of_addresses(elf)
    costs: dict[str, Cost] = {}
    for line in counts.read_text().splitlines():
        start_text, size, runs, taken = line.split("\t")
        start = int(start_text, 16)
        instructions, cycles = _block_cost(listing, start, start + int(size), int(runs), int(taken))
        if instructions:
            name = owner(start)
            costs[name] = costs.get(name, Cost(0, 0)) + Cost(instructions, cycles)
    return Profile(dict(sorted(costs.items(), key=lambda item: -item[1].instructions)))


def _block_cost(listing: dict[int, tuple[str, str]], start: int, end: int, runs: int, taken: int) -> tuple[int, int]:
    instructions = cycles = 0
    before = ""
    for address in range(start, end, 2):
        if address in listing:
            mnemonic, operands = listing[address]
            instructions += 1
            cycles += instruction_cycles(mnemonic, operands, before)
            before = mnemonic
    return instructions * runs, cycles * runs + 2 * taken  # a taken branch refills the pipeline: about 2 cycles


_SINGLE = re.compile(r"^(ldr|str)(b|h|sb|sh)?(eq|ne|cs|cc|mi|pl|hi|ls|ge|lt|gt|le)?$")


def instruction_cycles(mnemonic: str, operands: str, before: str) -> int:
    """Cycles of one instruction that does not branch; ``before`` is the mnemonic executed just before it.

    Args:
        mnemonic: without its width suffix (``ldr``, not ``ldr.w``).
    """
    if _SINGLE.match(mnemonic):
        if mnemonic.startswith("str") or _SINGLE.match(before):
            return 1
        return 2
    if mnemonic.startswith(("ldrd", "strd")):
        return 3
    if mnemonic.startswith(("ldm", "stm", "push", "pop", "vldm", "vstm", "vpush", "vpop")):
        return 1 + _register_count(operands)
    if mnemonic.startswith(("sdiv", "udiv")):
        return 12  # 2 to 12, by the operands: the worst
    if mnemonic.startswith("vldr"):
        return 2
    if mnemonic.startswith(("vfma", "vfms", "vmla", "vmls")):
        return 3
    return 1


def _register_count(operands: str) -> int:
    """Registers in a list such as ``{r4, r5, lr}`` or ``{r4-r7, pc}``."""
    inside = re.search(r"{(.*)}", operands)
    count = 0
    for part in inside.group(1).split(",") if inside else ():
        numbers = [int(digits) for digits in re.findall(r"\d+", part)]
        count += numbers[1] - numbers[0] + 1 if "-" in part else 1
    return count


def _disassemble(elf: Path) -> dict[int, tuple[str, str]]:
    """Address -> (mnemonic without width suffix, operands) of every instruction."""
    text = run_tool([find_tool(ARM_OBJDUMP), "-d", "--no-show-raw-insn", elf])
    pattern = re.compile(r"^\s*([0-9a-f]+):\t(\S+)(?:\t([^;@\n]*))?", re.MULTILINE)
    return {
        int(address, 16): (re.sub(r"\.[nw]$", "", mnemonic), operands.strip())
        for address, mnemonic, operands in pattern.findall(text)
    }


def _function_of_addresses(elf: Path) -> Callable[[int], str]:
    """A function from an address to the name of the symbol that covers it."""
    listing = run_tool([find_tool(ARM_NM), "-n", elf])
    symbols = [
        (int(address, 16), name)
        for address, kind, name in re.findall(r"^([0-9a-f]+) (\w) (\S+)$", listing, re.M)
        if kind in "tTwW" and not name.startswith("$")
    ]
    starts = [address & ~1 for address, _ in symbols]

    def owner(address: int) -> str:
        index = bisect.bisect_right(starts, address) - 1
        return symbols[index][1] if index >= 0 else "(unknown)"

    return owner
