"""The emulated boards: what QEMU calls them, their memory, and how they count instructions.

netduinoplus2 models an STM32F405: 192 KiB of RAM that faults beyond its end, as the chip does. mps2-an386 has 4 MiB,
for networks that no M4 holds; there only the linker script limits RAM.
"""

from dataclasses import dataclass

from rnnpool.errors import InputError

CLOCK_HZ = 168_000_000  # STM32F405/F439; seconds are always estimated cycles over this


@dataclass(frozen=True)
class Machine:
    """One QEMU board with a Cortex-M4F.

    A timer of the board counts retired instructions under ``-icount``: one instruction takes ``2**icount_shift`` ns of
    virtual time, and ``instructions = ticks * ticks_to_instructions``.
    """

    name: str
    flash: tuple[int, int]  # origin, bytes
    ram: tuple[int, int]  # origin, bytes
    icount_shift: int
    ticks_to_instructions: tuple[int, int]  # numerator, denominator
    define: str  # preprocessor symbol that selects the timer's registers in firmware/board.c

    def instructions(self, ticks: int) -> int:
        numerator, denominator = self.ticks_to_instructions
        return ticks * numerator // denominator


MACHINES = {
    machine.name: machine
    for machine in (
        # TIM2 ticks every 1 ns of virtual time at shift 0: one tick an instruction.
        Machine("netduinoplus2", (0x08000000, 1 << 20), (0x20000000, 192 << 10), 0, (1, 1), "RNP_BOARD_NETDUINOPLUS2"),
        # The CMSDK timer ticks every 40 ns and an instruction takes 64 ns: 1.6 ticks an instruction.
        Machine("mps2-an386", (0x00000000, 4 << 20), (0x20000000, 4 << 20), 6, (10, 16), "RNP_BOARD_MPS2_AN386"),
    )
}


def find_machine(name: str) -> Machine:
    """The machine of that name; InputError otherwise."""
    if name not in MACHINES:
        raise InputError(f"machine is {name!r}; it may be one of {', '.join(MACHINES)}")
    return MACHINES[name]
