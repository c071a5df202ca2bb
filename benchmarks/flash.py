"""What a compiled network's flash holds, byte by byte: python benchmarks/flash.py FILE [FILE...]

FILE is what rnnpool quantize wrote. The firmware is that of ``rnnpool firmware``: each symbol of its ELF counts where
it belongs, and what only feeds images and reports (start-up, files, main) is set apart, since a product has its own.
"""

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from rnnpool.compile.emit import compile_network
from rnnpool.compile.firmware import main_source
from rnnpool.integer.detector import find_integer_head
from rnnpool.integer.network import flash_bytes
from rnnpool.integer.storage import load_network
from rnnpool.target.build import build_firmware
from rnnpool.target.toolchain import ARM_NM, find_tool, run_tool

# Symbols by what they are, the first that matches; all other code and tables of the network are "code of stages".
KINDS = (
    ("the test's own: start-up, files, main", r"main|sink|board_\w+|Reset_Handler|fault|vectors|strlen"),
    ("parameters", r"(weights|weights_inner|weights_\w+|input|project|project_bias|scales|rnn\d_\w+)_\d+"),
    ("schedule, rings, rows of zeros", r"schedule|schedule_end|values|stages|zeros_\d+|\w+_outputs|scale_\d+"),
    ("kernels", r"rnp_\w+"),
    ("library", r"mem\w+|__\w+"),
)


def read_symbols(elf: Path) -> list[tuple[str, int]]:
    """Name and bytes of everything that lies in flash."""
    listing = run_tool([find_tool(ARM_NM), "-S", elf])
    found = re.findall(r"^\w+ (\w+) ([tTrRdDwW]) (\S+)$", listing, re.MULTILINE)
    return [(name, int(size, 16)) for size, _, name in found]


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for file in sys.argv[1:]:
        network = load_network(file)
        with tempfile.TemporaryDirectory(prefix="rnnpool-flash-") as name:
            folder = Path(name)
            compiled = compile_network(network, folder, head=find_integer_head(network))
            (folder / "main.c").write_text(main_source(compiled))
            sources = [folder / "main.c", *compiled.sources]
            firmware = build_firmware(sources, folder, includes=compiled.includes, machine="mps2-an386")
            symbols = read_symbols(firmware.elf)
        sums = Counter[str]()
        for symbol, size in symbols:
            kind = next((kind for kind, pattern in KINDS if re.fullmatch(pattern, symbol)), "code of stages")
            sums[kind] += size
        own = firmware.sizes.flash - sums[KINDS[0][0]]
        print(f"{file}: {own:,} bytes for the user's firmware, {firmware.sizes.flash:,} in this one")
        numbers = flash_bytes(network)
        parameters = sums.pop("parameters")
        numbers["padding of parameters, less what packing saves"] = parameters - sum(numbers.values())
        sums["alignment"] = firmware.sizes.flash - parameters - sum(sums.values())
        for kind, size in sorted({**numbers, **sums}.items(), key=lambda entry: -entry[1]):
            print(f"  {size:>9,}  {kind}")


if __name__ == "__main__":
    main()
