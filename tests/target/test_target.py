"""The emulated board counts exactly, faults past its RAM, and reports what a program used."""

import struct
import subprocess

import pytest

from rnnpool.errors import InputError
from rnnpool.target import build_executable, build_firmware, run_firmware, toolchain
from rnnpool.target.counting import instruction_cycles
from rnnpool.target.toolchain import CompileError, missing_tools

needs_toolchain = pytest.mark.skipif(missing_tools() is not None, reason=f"firmware: {missing_tools()}")

needs_host_gcc = pytest.mark.skipif(missing_tools(["gcc"]) is not None, reason=f"host C: {missing_tools(['gcc'])}")

PROGRAM = """
#include "board.h"
static uint8_t buffer[1000];
/* 2 n instructions; with the call, the return and reading the counter a constant more. */
__attribute__((noinline)) static void loop(uint32_t n) { __asm volatile("1: subs %0, #1\\n bne 1b\\n" : "+r"(n)); }
__attribute__((noinline)) static void deep(void) {
    volatile uint8_t frame[1024];
    for (uint32_t i = 0; i < sizeof frame; i++) { frame[i] = (uint8_t)i; }
}
int main(void) {
    uint32_t results[4];
    results[0] = board_ticks();
    loop(1000);
    results[1] = board_ticks();
    loop(3000);
    results[2] = board_ticks();
    deep();
    results[3] = board_stack_used();
    int32_t file = board_open("in.bin", 0);
    const size_t count = board_read(file, buffer, sizeof buffer);
    board_close(file);
    file = board_open("out.bin", 1);
    (void)board_write(file, results, sizeof results);
    (void)board_write(file, buffer, count);
    board_close(file);
    board_print("ready");
    return 7;
}
"""

FAULTS = """
#include "board.h"
int main(void) {
    *(volatile uint32_t *)(0x20000000u + RNP_OFFSET) = 1;
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "main.c"
    path.write_text(PROGRAM)
    return path


@needs_toolchain
@pytest.mark.parametrize("machine", ["netduinoplus2", "mps2-an386"])
def test_counts_files_stack_and_status(program, tmp_path, machine):
    firmware = build_firmware([program], tmp_path, machine=machine)
    run = run_firmware(firmware, {"in.bin": b"abc"})
    start, middle, end, stack = struct.unpack("<4I", run.files["out.bin"][:16])
    longer = firmware.machine.instructions(end - middle) - firmware.machine.instructions(middle - start)
    assert abs(longer - 4000) <= 1  # mps2-an386 counts in steps of 1.6
    assert 1024 < stack < 1200
    assert firmware.sizes.stack == 4096
    assert firmware.sizes.data == 1000
    assert (run.status, run.output, run.files["out.bin"][16:]) == (7, "ready", b"abc")
    assert run_firmware(firmware, {"in.bin": b"abc"}).files == run.files  # repeatable to the instruction


@needs_toolchain
def test_profile_attributes_instructions_and_cycles_to_functions(program, tmp_path):
    run = run_firmware(build_firmware([program], tmp_path), {"in.bin": b""}, profile=True)
    loop = run.profile.functions["loop"]
    assert loop.instructions == 2 * 4000 + 2  # and two returns
    assert loop.cycles == 2 * 4000 + 2 + 2 * (3998 + 2)  # 2 for each taken branch and each return
    assert run.profile.total.instructions >= sum(cost.instructions for cost in run.profile.functions.values())


@needs_toolchain
@pytest.mark.parametrize(("offset", "status"), [(192 * 1024 - 4, 0), (192 * 1024, 139)])
def test_access_past_the_ram_faults(tmp_path, offset, status):
    (tmp_path / "main.c").write_text(FAULTS)
    firmware = build_firmware([tmp_path / "main.c"], tmp_path, defines=[f"RNP_OFFSET={offset}"])
    run = run_firmware(firmware)
    assert run.status == status
    assert ("fault" in run.output) == (status != 0)


@needs_toolchain
def test_a_program_over_the_ram_limit_does_not_link(program, tmp_path):
    build_firmware([program], tmp_path, ram_bytes=4096 + 1000)
    with pytest.raises(CompileError, match="region `RAM' overflowed"):
        build_firmware([program], tmp_path, ram_bytes=4096 + 992)
    with pytest.raises(InputError, match=r"ram_bytes is 200000; netduinoplus2 has 196608"):
        build_firmware([program], tmp_path, ram_bytes=200_000)
    with pytest.raises(InputError, match="machine is 'pdp11'; it may be one of netduinoplus2"):
        build_firmware([program], tmp_path, machine="pdp11")


def test_a_missing_tool_is_named_with_its_packages(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InputError, match="apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"):
        toolchain.find_tool("arm-none-eabi-gcc")
    assert "qemu-system-arm not installed" in missing_tools(["qemu-system-arm"])


@needs_host_gcc
def test_warnings_are_errors_and_sanitizers_end_the_program(tmp_path):
    source = tmp_path / "a.c"
    source.write_text("int main(void) { int unused; return 0; }")
    with pytest.raises(CompileError, match="unused"):
        build_executable([source], tmp_path / "a")
    source.write_text("int main(int count, char **words) { (void)words; return 0x7fffffff + count; }")
    program = build_executable([source], tmp_path / "a")
    assert b"signed integer overflow" in subprocess.run([program], capture_output=True, check=False).stderr


@pytest.mark.parametrize(
    ("mnemonic", "operands", "before", "cycles"),
    [
        ("ldr", "r0, [r1]", "add", 2),
        ("ldrb", "r0, [r1]", "ldr", 1),
        ("str", "r0, [r1]", "add", 1),
        ("ldrd", "r0, r1, [r2]", "ldr", 3),
        ("ldm", "r0, {r1, r2, r3, r4}", "", 5),
        ("ldmia.w", "r0!, {r1, r2}", "", 3),
        ("push", "{r4-r7, lr}", "", 6),
        ("smlad", "r0, r1, r2, r3", "ldr", 1),
        ("udiv", "r0, r1, r2", "", 12),
        ("vldr", "s0, [r0]", "", 2),
    ],
)
def test_cycle_table(mnemonic, operands, before, cycles):
    assert instruction_cycles(mnemonic, operands, before) == cycles
