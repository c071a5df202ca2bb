"""Instructions and estimated cycles a multiply-add of the C kernels in an emulated Cortex-M4, beside CMSIS-NN's.

CMSIS-NN's figures: release of 2026-07, GCC -O2, the same emulator (shared notes of the project, bit-exact against
plain C). Ours are whole calls, padding, widening and requantisation included. Run: python benchmarks/kernels.py
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rnnpool.compile import RUNTIME_FOLDER, runtime_sources
from rnnpool.compile.kernel_cases import (
    HEADERS,
    KernelCase,
    conv_case,
    dense_case,
    depthwise_case,
)
from rnnpool.compile.random_layers import random_cell, random_conv, random_map, random_rnnpool, random_states
from rnnpool.compile.recurrent_cases import rnnpool_case, step_case
from rnnpool.target.cases import run_cases_on_target
from rnnpool.target.counting import Cost

RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class Site:
    """A layer of the table. ``rival``: CMSIS-NN's instructions and estimated cycles a multiply-add, where known."""

    name: str
    case: Callable[[], KernelCase]
    rival: tuple[float, float] | None
    limit: float | None  # instructions a multiply-add that the assembly may take at most


def pointwise(width: int, channels: int, outputs: int) -> KernelCase:
    return conv_case(random_conv(RNG, outputs, channels), random_map(RNG, channels, 1, width))


def depthwise(width: int, channels: int, stride: int) -> KernelCase:
    conv = random_conv(RNG, channels, channels, (3, 3), (stride, stride), (1, 1), depthwise=True)
    return depthwise_case(conv, random_map(RNG, channels, 6, width))


def square(height: int, width: int, channels: int, outputs: int, stride: int) -> KernelCase:
    conv = random_conv(RNG, outputs, channels, (3, 3), (stride, stride), (1, 1))
    return conv_case(conv, random_map(RNG, channels, height, width))


def dense(channels: int, outputs: int) -> KernelCase:
    return dense_case(random_conv(RNG, outputs, channels), random_map(RNG, channels, 1, 1)[:, 0, 0])


def step(units: int) -> KernelCase:
    p = RNG.integers(-3000, 9000, (2, units)).astype(np.int16)
    return step_case(random_cell(RNG, units), p, random_states(RNG, 2, units))


def pool(height: int, width: int, channels: int, padding: int) -> KernelCase:
    layer = random_rnnpool(RNG, channels, 16, 16, (8, 8), (4, 4), (padding, padding))
    return rnnpool_case(layer, random_map(RNG, channels, height, width))


SITES = (
    Site("1x1, rows of 40, 64 -> 128", lambda: pointwise(40, 64, 128), (2.06, 2.43), 1.3),
    Site("1x1, rows of 40, 128 -> 32", lambda: pointwise(40, 128, 32), (1.74, 2.05), 1.3),
    Site("1x1, rows of 40, 32 -> 64", lambda: pointwise(40, 32, 64), None, 1.3),
    Site("depthwise 3x3, 40 wide, 128", lambda: depthwise(40, 128, 1), (8.04, 9.43), 2.3),
    Site("depthwise 3x3, 20 wide, 128", lambda: depthwise(20, 128, 1), None, 2.3),
    Site("depthwise 3x3 s2, 40 wide, 128", lambda: depthwise(40, 128, 2), None, None),
    Site("3x3 s2, 80x60x3 -> 16", lambda: square(60, 80, 3, 16, 2), (4.77, 6.2), None),
    Site("3x3 s2, 320 wide x1 -> 8", lambda: square(24, 320, 1, 8, 2), None, None),
    Site("3x3, 20x15x32 -> 32", lambda: square(15, 20, 32, 32, 1), (1.93, 2.33), None),
    Site("fully connected 256 -> 10", lambda: dense(256, 10), (2.13, 2.65), None),
    Site("FastGRNN step, h 16", lambda: step(16), None, None),
    Site("RNNPool 160x120x8, h 16, pad 2", lambda: pool(120, 160, 8, 2), None, 1.5),
    Site("RNNPool 160x120x4, h 16 (Face-M4)", lambda: pool(120, 160, 4, 0), None, 1.5),
)


def measure(case: KernelCase, *, assembly: bool) -> Cost:
    """Instructions (exact) and estimated cycles of a case; AssertionError if its result is wrong."""
    results, profile = run_cases_on_target(
        [case.case],
        runtime_sources(),
        [RUNTIME_FOLDER],
        headers=HEADERS,
        defines=() if assembly else ("RNP_USE_M4_DSP=0",),
        profile=True,
    )
    np.testing.assert_array_equal(case.read(results[0].arrays), case.expected, err_msg=case.name)
    assert profile is not None
    frame = ("main", "Reset_Handler", "board_", "memset", "strlen", "nothing")
    ours = [cost for name, cost in profile.functions.items() if not name.startswith(frame)]
    cycles = sum(cost.cycles for cost in ours)
    return Cost(results[0].instructions, cycles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--match", default="", help="only layers whose name contains this")
    parser.add_argument("--skip-portable", action="store_true", help="only the assembly kernels")
    args = parser.parse_args()
    print(f"{'a multiply-add:':36}{'assembly':^18}{'portable C':^18}{'CMSIS-NN':^18}")
    print(f"{'':36}" + f"{'instr':>8}{'cycles*':>8}  " * 3)
    for site in SITES:
        if args.match not in site.name:
            continue
        case = site.case()
        row = f"{site.name:36}"
        for assembly in (True,) if args.skip_portable else (True, False):
            cost = measure(case, assembly=assembly)
            instructions = cost.instructions / case.multiply_adds
            row += f"{instructions:8.2f}{cost.cycles / case.multiply_adds:8.2f}  "
            if assembly and site.limit is not None and instructions > site.limit:
                row += f"(over {site.limit}) "
        print(row + (f"{site.rival[0]:8.2f}{site.rival[1]:8.2f}" if site.rival else f"{'-':>8}{'-':>8}"), flush=True)
    print("* estimated (Cortex-M4 instruction timings, no flash wait states)")


if __name__ == "__main__":
    main()
