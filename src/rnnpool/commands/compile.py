"""``rnnpool compile``: an integer network as a self-contained folder of C99."""

import argparse
from pathlib import Path

EPILOG = """\
FILE is what rnnpool quantize wrote. The folder holds the network's code, its weights, the kernels that it uses, a
Makefile, a CMakeLists.txt and a README with the plan of its memory.

example:
  rnnpool compile face-tiny-int8.safetensors -o face-tiny-c
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("network", metavar="FILE", type=Path, help="an integer network (.safetensors)")
    parser.add_argument("-o", "--out", metavar="DIR", type=Path, required=True, help="the folder to write")
    parser.add_argument("--name", help="prefix of the C functions (default: the network's name)")


def run(args: argparse.Namespace) -> int:
    from rnnpool.compile.emit import compile_network
    from rnnpool.integer.storage import load_network

    compiled = compile_network(load_network(args.network), args.out, name=args.name)
    plan = compiled.plan
    print(f"{args.out}: {compiled.name}.h, {plan.bytes:,} bytes of RAM in {len(plan.cuts) + 1} phase(s)")
    print("of which in use at the fullest moment:")
    for what, size in plan.fullest()[:10]:
        print(f"  {size:>8,}  {what}")
    return 0
