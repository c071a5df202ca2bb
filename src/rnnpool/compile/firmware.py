"""A compiled network on the emulated chip: what it gives for images, and what it costs, measured."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnpool.compile.emit import Compiled, output_order, render
from rnnpool.compile.pack import round_up
from rnnpool.compile.results import DETECTION, read_detections
from rnnpool.compile.trace import TRACING, Trace, read_traces
from rnnpool.errors import InputError
from rnnpool.files import write_text
from rnnpool.integer.network import IntNetwork
from rnnpool.target.build import build_firmware
from rnnpool.target.counting import Profile
from rnnpool.target.emulator import run_firmware
from rnnpool.target.machines import CLOCK_HZ

TIMING = "RNP_TIMING=1"


@dataclass(frozen=True)
class Measured:
    """What each image gave, and the costs."""

    outputs: list[list[NDArray[np.int16]]] = field(repr=False)  # images x outputs (C, H, W)
    instructions: list[int]  # an image, files excluded
    ram: int  # bytes: .data, .bss (arena and one camera line among them) and the stack that was touched
    stack: int
    flash: int
    profile: Profile | None = field(repr=False)  # of the whole program
    detections: list[NDArray[np.int64]] | None = field(repr=False)  # per image as ``IntHead.detect`` has them
    # Of builds that show what is inside; their other costs are not those of the network alone.
    traces: list[Trace] | None = field(repr=False)  # per image
    stages: list[int] | None = field(repr=False)  # instructions by stage, of all images; [0]: what belongs to none

    @property
    def cycles_per_instruction(self) -> float:
        """Estimated, over the whole program; needs ``profile``."""
        assert self.profile is not None
        return self.profile.total.cycles / self.profile.total.instructions

    @property
    def seconds(self) -> float:
        """Estimated for one image at the chip's clock; needs ``profile``."""
        return self.instructions[0] * self.cycles_per_instruction / CLOCK_HZ


def main_source(compiled: Compiled, *, threshold: int = 0, traced: bool = False, timed: bool = False) -> str:
    """The C of a program that feeds images to the network and writes what comes of them; see ``run_on_chip``."""
    values = {"name": compiled.name, "NAME": compiled.name.upper(), "kind": compiled.kind, "threshold": threshold}
    return render("firmware.c.j2", {**values, "traced": traced, "timed": timed, "stages": len(compiled.plan.stages)})


def run_on_chip(
    compiled: Compiled,
    network: IntNetwork,
    images: Sequence[NDArray[np.uint8]],
    *,
    machine: str = "netduinoplus2",
    profile: bool = False,
    defines: Sequence[str] = (),
    threshold: int = 0,
    traced: bool = False,
    timed: bool = False,
) -> Measured:
    """Build the firmware of ``compiled`` and run it on images (C, H, W).

    Args:
        threshold: of detections, as ``IntHead.detect`` takes it.
        traced: write every row of every tensor to a file as well.
        timed: count the instructions of every stage.

    Raises:
        InputError: an image of another shape; no toolchain.
        RuntimeError: the firmware failed.
    """
    for image in images:
        if image.dtype != np.uint8 or image.shape != network.image.shape:
            raise InputError(f"an image is {image.dtype} {image.shape}; {network.name} takes {network.image.shape}")
    defines = [*defines, *([TRACING] if traced else []), *([TIMING] if timed else [])]
    with tempfile.TemporaryDirectory(prefix="rnnpool-firmware-") as name:
        folder = Path(name)
        write_text(folder / "main.c", main_source(compiled, threshold=threshold, traced=traced, timed=timed))
        firmware = build_firmware(
            [folder / "main.c", *compiled.sources], folder, machine=machine, includes=compiled.includes, defines=defines
        )
        interleaved = b"".join(np.ascontiguousarray(image.transpose(1, 2, 0)).tobytes() for image in images)
        timeout = 60.0 + 20.0 * len(images)
        run = run_firmware(firmware, {"images.bin": interleaved}, profile=profile, timeout_s=timeout)
    if run.status != 0:
        raise RuntimeError(f"the firmware ended with status {run.status}: {run.output.strip()}")
    counts = np.frombuffer(run.files["counts.bin"], "<u4").reshape(-1, 2)
    rows = np.frombuffer(run.files["rows.bin"], "<i2")
    stack = int(counts[-1, 1])
    return Measured(
        _split(compiled, network, rows, len(images)),
        [firmware.machine.instructions(int(ticks)) for ticks in counts[:, 0]],
        firmware.sizes.data + stack,
        stack,
        firmware.sizes.flash,
        run.profile,
        _detections(run.files["boxes.bin"], len(images)) if compiled.kind == "detections" else None,
        read_traces(run.files["trace.bin"], compiled.plan, network) if traced else None,
        [firmware.machine.instructions(int(ticks)) for ticks in np.frombuffer(run.files["stages.bin"], "<u4")]
        if timed
        else None,
    )


def _detections(data: bytes, count: int) -> list[NDArray[np.int64]]:
    """Of each image a number of detections, and as many of them."""
    images, offset = [], 0
    for _ in range(count):
        boxes = int(np.frombuffer(data, "<i4", 1, offset)[0])
        end = offset + 4 + boxes * DETECTION.itemsize
        images.append(read_detections(data[offset + 4 : end], boxes))
        offset = end
    if offset != len(data):
        raise RuntimeError(f"the firmware wrote {len(data)} bytes of detections; {offset} were expected")
    return images


def _split(
    compiled: Compiled, network: IntNetwork, rows: NDArray[np.int16], count: int
) -> list[list[NDArray[np.int16]]]:
    """The stream of rows, in the order in which the schedule makes them, as maps."""
    order = output_order(compiled.plan, network)
    images, offset = [], 0
    for _ in range(count):
        maps = [np.zeros(network.nodes[number].shape, np.int16) for number in network.outputs]
        for output, row in order:
            channels, _, width = maps[output].shape
            step = round_up(channels, 2)
            maps[output][:, row] = rows[offset : offset + width * step].reshape(width, step)[:, :channels].T
            offset += width * step
        images.append(maps)
    if offset != rows.size:
        raise RuntimeError(f"the firmware wrote {rows.size} numbers; {offset} were expected")
    return images
