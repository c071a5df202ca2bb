"""The C of a planned network: its stages, their constants, the schedule, and the folder that holds it all."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rnnpool.compile import RUNTIME_FOLDER
from rnnpool.compile.c_text import comma_lines, zero_point
from rnnpool.compile.comparison import compare
from rnnpool.compile.pack import (
    rnnpool_multiply_adds,
    round_up,
)
from rnnpool.compile.results import Kind, kind_of_results, results_in_c
from rnnpool.compile.schedule import CONTEXT_BYTES, LANDS, Plan, plan_arena
from rnnpool.compile.stage_code import StageCode
from rnnpool.compile.stages import build_stages
from rnnpool.errors import InputError
from rnnpool.files import check_own_folder, write_text
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.head import SCORE, IntHead
from rnnpool.integer.network import ChannelScales, IntNetwork, IntNode
from rnnpool.integer.rnnpool2d import IntRNNPool

Target = Literal["any", "cortex-m4", "c99"]
USUAL_THRESHOLD = 0.4  # of faces, as ``rnnpool detect`` has it: the header's constant, for who has no better one

_TEMPLATES = Path(__file__).parent / "templates"
# C's own headers; the folder is searched before the compiler's.
_HEADERS = (
    *("assert", "complex", "ctype", "errno", "fenv", "float", "inttypes", "iso646", "limits", "locale", "math"),
    *("setjmp", "signal", "stdarg", "stdbool", "stddef", "stdint", "stdio", "stdlib", "string", "tgmath", "time"),
    *("wchar", "wctype"),
)


@dataclass(frozen=True)
class Compiled:
    """A network's folder and what it needs."""

    folder: Path
    name: str  # prefix of its functions
    plan: Plan
    kind: Kind  # of results
    head: IntHead | None  # of detections

    @property
    def sources(self) -> list[Path]:
        """C and assembly files to compile; the folder and its ``runtime`` are the include paths."""
        runtime = sorted((self.folder / "runtime").glob("*.[cS]"))
        return [self.folder / f"{self.name}.c", *runtime]

    @property
    def includes(self) -> list[Path]:
        return [self.folder, self.folder / "runtime"]


def compile_network(
    network: IntNetwork,
    folder: Path,
    *,
    name: str | None = None,
    cuts: Sequence[int] | None = None,
    head: IntHead | None = None,
    target: Target = "any",
) -> Compiled:
    """Write the self-contained C of ``network`` into ``folder``.

    Args:
        name: prefix of the functions and files; the network's by default.
        cuts: as ``schedule.plan_arena`` takes them; the best by default.
        head: how the outputs become detections (``integer.detector.find_integer_head``); None: the code gives class
            scores where the only output is a vector, else the rows of all outputs.
        target: "cortex-m4" makes the Makefile cross-compile, "c99" leaves assembly and vectors out; "any": both ways.

    Raises:
        InputError: a name that C cannot have, an operator without a kernel, more cells than a detection can name, no
            jinja2, or a file in ``folder`` that would be replaced without being one of an earlier call.
    """
    prefix = _prefix(name or network.name)
    files = {"network.h.j2": f"{prefix}.h", "network.c.j2": f"{prefix}.c"}
    files |= {f"{name}.j2": name for name in ("README.md", "Makefile", "CMakeLists.txt")}
    is_ours = (folder / "runtime" / "rnp.h").is_file()  # an earlier call leaves its kernels beside the rest
    check_own_folder(folder, files.values(), "the C", "compile", is_ours=is_ours)
    plan = plan_arena(build_stages(network), cuts)
    emitter = StageCode(network, plan)
    stages = [emitter.stage(stage) for stage in plan.stages]
    offsets = np.cumsum([len(entries) for entries in plan.acts])
    _, height, width = network.image.shape
    values: dict[str, Any] = {
        "title": network.name,
        "name": prefix,
        "NAME": prefix.upper(),
        "width": width,
        "height": height,
        "channels": network.image.shape[0],
        "arena_bytes": plan.bytes,
        "context_bytes": CONTEXT_BYTES,
        "plan": plan,
        "stages": stages,
        "zeros": emitter.zeros(),
        "outputs": [_output(network, number) for number in network.outputs],
        "lands": LANDS,
        "image_zero": zero_point(plan.stages[0]),
        "ring_slots": comma_lines(emitter.ring_slots),
        "schedule": comma_lines([entry for entries in plan.acts for entry in entries]),
        "schedule_end": comma_lines(offsets.tolist()),
        "schedule_end_type": "uint16_t" if offsets[-1] < 1 << 16 else "uint32_t",
    }
    values |= results_in_c(network, head, prefix)
    values |= {"target": target, "threshold": round(USUAL_THRESHOLD * SCORE)}
    values["constant_bytes"] = sum(array.nbytes for _, array in emitter.arrays)
    values["multiply_adds"] = sum(multiply_adds(node) for node in network.nodes)
    values["phases"] = len(plan.cuts) + 1
    values["others"] = compare(plan, network)
    for template, file in files.items():
        write_text(folder / file, render(template, values))
    write_text(folder / f"{prefix}_weights.h", emitter.weights(network.name))
    _copy_runtime(folder / "runtime", portable=target == "c99")
    return Compiled(folder, prefix, plan, kind_of_results(network, head), head)


def _prefix(name: str) -> str:
    """``name`` as the beginning of C's names and of files; InputError where it would clash with others."""
    prefix = re.sub(r"\W", "_", name, flags=re.ASCII)
    if not re.match(r"[A-Za-z]", prefix):
        raise InputError(f"name is {prefix!r}; a C identifier has to begin with a letter")
    if prefix.lower() in _HEADERS:
        raise InputError(f"name is {prefix!r}; {prefix}.h would hide a header of the C library")
    if prefix.lower() == "rnp" or prefix.lower().startswith("rnp_"):
        raise InputError(f"name is {prefix!r}; names with rnp are those of the kernels")
    return prefix


def _copy_runtime(folder: Path, *, portable: bool) -> None:
    """The kernels; ``portable``: without assembly and vectors, on every core."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in RUNTIME_FOLDER.iterdir():
        special = path.suffix == ".S" or path.stem.endswith(("_sse2", "_simd128", "_vector"))
        if path.suffix in (".c", ".h", ".S") and not (portable and special):
            shutil.copyfile(path, folder / path.name)
    if portable:
        config = folder / "rnp_config.h"
        guard = "#define RNP_CONFIG_H\n"
        without = "\n#define RNP_USE_M4_DSP 0\n#define RNP_USE_SSE2 0\n#define RNP_USE_SIMD128 0\n"
        write_text(config, config.read_text().replace(guard, guard + without))


def multiply_adds(node: IntNode) -> int:
    """What one image costs in a node; sums, means and copies count nothing."""
    op, (outputs, height, width) = node.op, node.shape
    if isinstance(op, IntConv):
        return outputs * height * width * op.weights[0].size
    return rnnpool_multiply_adds(op, height, width) if isinstance(op, IntRNNPool) else 0


def _output(network: IntNetwork, number: int) -> dict[str, Any]:
    node = network.nodes[number]
    assert isinstance(node.output, ChannelScales)
    channels, height, width = node.shape
    return {
        "channels": channels,
        "step": round_up(channels, 2),
        "height": height,
        "width": width,
        "scales": [f"{np.float32(scale)!s}f".replace("np.float32", "") for scale in node.output.scale],
    }


def output_order(plan: Plan, network: IntNetwork) -> list[tuple[int, int]]:
    """(output, row) in the order in which the sink receives them."""
    names = [network.nodes[number].name for number in network.outputs]
    calls = [0] * len(plan.stages)
    order = []
    for entries in plan.acts:
        for entry in entries:
            if entry < LANDS and plan.stages[entry].wide:
                row = plan.stages[entry].given(calls[entry])
                calls[entry] += 1
                if row is not None:
                    order.append((names.index(plan.stages[entry].last.name), row))
    return order


def render(template: str, values: dict[str, Any], folder: Path = _TEMPLATES) -> str:
    """Fill in one of the templates, HTML with its special characters escaped; InputError without jinja2."""
    try:
        import jinja2
    except ImportError as error:
        raise InputError("compiling needs jinja2: pip install 'rnnpool[compile]'") from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=template.endswith(".html.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(values)
