"""``rnnpool compile``: an integer network as a self-contained folder of C99."""

import argparse
from pathlib import Path

from rnnpool.commands.integer_files import HELP, open_integers

TARGETS = ("any", "cortex-m4", "c99")

EPILOG = """\
The folder holds the network's code, its weights, the kernels, a Makefile, a CMakeLists.txt, and a README that shows
how it is called and what lies where in memory. A detector of rnnpool models gives detections, a network with one
vector gives class scores, any other the rows of its outputs.

examples:
  rnnpool compile face-tiny -o face-tiny-c
  rnnpool compile my-net-int8.safetensors -o my-net-c --target c99
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("network", metavar="NETWORK", help=HELP)
    parser.add_argument("-o", "--out", metavar="DIR", type=Path, required=True, help="the folder to write")
    parser.add_argument(
        "--target",
        choices=TARGETS,
        default="any",
        help="cortex-m4: make cross-compiles; c99: no assembly, portable C alone (default: any, which builds for both)",
    )
    parser.add_argument("--name", help="prefix of the C functions (default: the network's name)")
    parser.add_argument(
        "--plot", metavar="PICTURE", type=Path, help="of the plan (default: DIR/plan.svg, if matplotlib is installed)"
    )


def run(args: argparse.Namespace) -> int:
    from importlib.util import find_spec

    from rnnpool.compile.comparison import compare, draw
    from rnnpool.compile.emit import compile_network
    from rnnpool.compile.results import DETECTION
    from rnnpool.integer.detector import find_integer_head

    network = open_integers(args.network)
    head = find_integer_head(network)
    compiled = compile_network(network, args.out, name=args.name, head=head, target=args.target)
    plan = compiled.plan
    print(f"{args.out}: {compiled.name}.h gives {compiled.kind}")
    print(f"{plan.bytes:,} bytes of RAM in {len(plan.cuts) + 1} phase(s)", end="")
    print("" if head is None else f", and {DETECTION.itemsize * head.candidates:,} for the detections")
    print("of which in use at the fullest moment:")
    for what, size in plan.fullest()[:10]:
        print(f"  {size:>8,}  {what}")
    print(f"places in the arena: {plan.placement.quality}; beside it:")
    for what, size in compare(plan, network):
        print(f"  {size:>8,}  {what}")
    picture = args.plot or (args.out / "plan.svg" if find_spec("matplotlib") else None)
    if picture is not None:
        draw(plan, network, picture)
        print(f"plan drawn: {picture}")
    return 0
