"""What the network of a row costs on the chip: compiled and measured on the emulated Cortex-M4.

RAM and instructions do not depend on what was trained: the weights are random, and calibration sees noise.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rnnpool.compile.emit import compile_network
from rnnpool.compile.firmware import run_on_chip
from rnnpool.errors import InputError
from rnnpool.experiments.costs import trained_network
from rnnpool.experiments.definition import Run
from rnnpool.files import write_text
from rnnpool.integer.convert import convert
from rnnpool.models import create_model

FILE = "chip.json"
_IMAGES = 2  # noise to calibrate on; one of them is run


@dataclass(frozen=True)
class ChipCost:
    """One image on the emulated chip; bytes, instructions, and seconds as estimated at its clock.

    ``ram`` is everything: static data, the arena, a camera line and ``stack``, what was touched of it.
    """

    ram: int
    stack: int
    flash: int
    instructions: int
    seconds: float


def chip_cost(name: str, options: dict, shape: tuple[int, int, int]) -> ChipCost:
    """Of a registered network for images (C, H, W), with 8-bit states between an RNNPool's rows.

    Raises:
        InputError: an operator without a kernel, too little RAM on the chip, no toolchain.
        RuntimeError: the chip's numbers differ from the simulator's.
    """
    torch.manual_seed(0)
    model = create_model(name, **options)
    images = list(np.random.default_rng(0).integers(0, 256, (_IMAGES, *shape)).astype(np.uint8))
    _settle_norms(model, images)
    network = convert(model, shape, images, method="minmax", narrow=True).network
    with tempfile.TemporaryDirectory(prefix="rnnpool-chip-") as folder:
        measured = run_on_chip(compile_network(network, Path(folder)), network, images[:1], profile=True)
    if not all(np.array_equal(a, b) for a, b in zip(measured.outputs[0], network.run(images[0]), strict=True)):
        raise RuntimeError(f"{name}: the chip's outputs differ from the simulator's")
    return ChipCost(measured.ram, measured.stack, measured.flash, measured.instructions[0], round(measured.seconds, 3))


def measure_rows(runs: Sequence[Run], out: Path) -> dict[str, ChipCost | str]:
    """The costs of every row of ``runs``, or why it has none; written to ``out/chip.json`` for ``read_costs``."""
    costs: dict[str, ChipCost | str] = {}
    for run in runs:
        if run.row not in costs:
            try:
                options, shape = trained_network(run.recipe, out / run.name / "final.safetensors")
                costs[run.row] = chip_cost(run.recipe.model.name, options, shape)
            except InputError as error:
                costs[run.row] = str(error)
    known = {**read_costs(out), **costs}  # those of other rows, measured by another call
    plain = {row: cost if isinstance(cost, str) else asdict(cost) for row, cost in known.items()}
    write_text(out / FILE, json.dumps(plain, indent=1) + "\n")
    return costs


def read_costs(out: Path) -> dict[str, ChipCost | str]:
    """What ``measure_rows`` wrote into ``out``; nothing where it has not been called."""
    path = out / FILE
    entries = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {row: entry if isinstance(entry, str) else ChipCost(**entry) for row, entry in entries.items()}


def chip_table(rows: Sequence[tuple[str, str, ChipCost | str]], command: str) -> list[str]:
    """Lines of Markdown for (key, label, cost or why there is none); ``command`` is the report's."""
    head = ["", "RAM, bytes", "of it stack", "instructions, M", "s at 168 MHz, estimated", "flash, bytes"]
    body, unmeasured = [], []
    for key, label, cost in rows:
        if isinstance(cost, str):
            unmeasured.append(f"- `{key}`: not measured, {cost}")
            continue
        numbers = (f"{cost.ram:,}", f"{cost.stack:,}", f"{cost.instructions / 1e6:.1f}", f"{cost.seconds:.2f}")
        body.append([label, *numbers, f"{cost.flash:,}"])
    said = [
        f"Made by `{command} --chip`. One image in int8, 8-bit states between an RNNPool's rows, on the emulated",
        "STM32F405 of docs/firmware.md. RAM is everything: static data, the arena, a camera line and the stack. The",
        "weights are random: no figure here depends on them.",
    ]
    table = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *body)] if body else []
    return [*table, "", *said, *(["", *unmeasured] if unmeasured else [])]


def _settle_norms(model: nn.Module, images: Sequence[np.ndarray]) -> None:
    """Give batch norms the statistics of ``images``: without them the ranges of a deep random network degenerate."""
    batch = (torch.from_numpy(np.stack(images)).float() - 128) / 128
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches, of which there is one
    with torch.no_grad():
        model.train()(batch)
    model.eval()
