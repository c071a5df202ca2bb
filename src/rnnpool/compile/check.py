"""A compiled network compared with its simulator on many images: on this machine, and some of them on the chip."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnpool.compile.emit import Compiled
from rnnpool.compile.exactness import InexactError, Truth, find_difference, simulate_image
from rnnpool.compile.firmware import Measured, run_on_chip
from rnnpool.compile.host import HostNetwork
from rnnpool.compile.trace import TracedNetwork, traced_tensors, untraced_tensors
from rnnpool.integer.network import IntNetwork

ON_CHIP = 10  # images that the emulator runs


def check(
    compiled: Compiled,
    network: IntNetwork,
    images: Sequence[tuple[str, NDArray[np.uint8]]],
    *,
    machine: str = "netduinoplus2",
    intermediates: bool = False,
) -> Measured:
    """Compare all images on this machine and the first on the chip; print how many numbers were compared.

    Args:
        images: names, and bytes (C, H, W).
        intermediates: compare the rows of all tensors that the C holds, too.

    Returns:
        What the chip's run gave, without tracing.

    Raises:
        InexactError: the first difference.
        InputError: no compiler or no emulator.
    """
    host = HostNetwork(compiled, network)
    traced = TracedNetwork(compiled, network) if intermediates else None
    truths: list[Truth] = []  # of the images for the chip
    numbers = detections = inner = 0
    for name, image in images:
        truth = simulate_image(network, compiled.head, image, 0)
        found = None if compiled.head is None else host.detect(image)
        _expect(find_difference(network, truth, host.run(image), found), f"{name}, on this machine")
        if traced is not None:
            traced.run(image)
            _expect(traced.trace.find_difference(truth.tensors), f"{name}, on this machine")
            inner += traced.trace.numbers
        if len(truths) < ON_CHIP:
            truths.append(truth)
        numbers += truth.numbers
        detections += 0 if truth.detections is None else len(truth.detections)
    counts = f"{numbers:,} outputs" + ("" if compiled.head is None else f", {detections:,} detections")
    counts += f", {inner:,} numbers of {len(traced_tensors(compiled.plan, network))} other tensors" if traced else ""
    print(f"{len(images)} images on this machine: {counts}, bit for bit the simulator", flush=True)
    return _check_on_chip(compiled, network, images[:ON_CHIP], truths, machine, intermediates)


def _check_on_chip(
    compiled: Compiled,
    network: IntNetwork,
    images: Sequence[tuple[str, NDArray[np.uint8]]],
    truths: Sequence[Truth],
    machine: str,
    intermediates: bool,
) -> Measured:
    pixels = [image for _, image in images]
    measured = run_on_chip(compiled, network, pixels, machine=machine, profile=True)
    for number, (name, _) in enumerate(images):
        expect_the_same(network, truths[number], measured, number, f"{name}, on the chip")
    if intermediates:
        traces = run_on_chip(compiled, network, pixels, machine=machine, traced=True).traces
        assert traces is not None
        for (name, _), truth, trace in zip(images, truths, traces, strict=True):
            _expect(trace.find_difference(truth.tensors), f"{name}, on the chip")
    also = ", tensor by tensor" if intermediates else ""
    print(f"{len(images)} images on the emulated chip: bit for bit the simulator{also}")
    if intermediates and (fused := untraced_tensors(compiled.plan, network)):
        print(f"never held as rows, since computed together with what reads them: {', '.join(fused)}")
    return measured


def expect_the_same(network: IntNetwork, truth: Truth, measured: Measured, number: int, where: str) -> None:
    """InexactError unless an image's results on the chip are the simulator's."""
    found = None if measured.detections is None else measured.detections[number]
    _expect(find_difference(network, truth, measured.outputs[number], found), where)


def _expect(difference: str | None, where: str) -> None:
    if difference is not None:
        raise InexactError(f"{where}: {difference}")
