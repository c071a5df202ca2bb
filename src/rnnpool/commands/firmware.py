"""``rnnpool firmware``: an integer network compiled, run on an emulated Cortex-M4, and measured."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rnnpool.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rnnpool.integer.network import IntNetwork

EPILOG = """\
FILE is what rnnpool quantize wrote. Each image is scaled to fit the network's input and put into its upper left corner;
of a classifier that says what it was trained on, the middle of the image is taken as rnnpool evaluate does.
Needs arm-none-eabi-gcc and qemu-system-arm; instructions are exact, cycles and seconds (at 168 MHz) are estimates.

example:
  rnnpool firmware face-tiny-int8.safetensors photo.jpg --layers
"""

_CLASSES = 5  # how many of a classifier's are printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("network", metavar="FILE", type=Path, help="an integer network (.safetensors)")
    parser.add_argument("images", metavar="IMAGE", nargs="+", type=Path, help="image files")
    parser.add_argument("--machine", default="netduinoplus2", help="netduinoplus2 (192 KiB of RAM) or mps2-an386")
    parser.add_argument("--threshold", metavar="T", type=float, default=0.4, help="of detections (default: 0.4)")
    parser.add_argument("--layers", action="store_true", help="print the costs of each function")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from rnnpool.compile.emit import compile_network
    from rnnpool.compile.firmware import run_on_chip
    from rnnpool.integer.storage import load_network

    if not 0.0 <= args.threshold <= 1.0:
        raise InputError(f"--threshold is {args.threshold:g}; a score is 0..1")
    network = load_network(args.network)
    fitted = [_fit(path, network) for path in args.images]
    with tempfile.TemporaryDirectory(prefix="rnnpool-firmware-") as folder:
        compiled = compile_network(network, Path(folder))
        images = [pixels for pixels, _ in fitted]
        measured = run_on_chip(compiled, network, images, machine=args.machine, profile=True)
    for path, (pixels, scale), outputs in zip(args.images, fitted, measured.outputs, strict=True):
        exact = all(np.array_equal(a, b) for a, b in zip(outputs, network.run(pixels), strict=True))
        print(f"{path}: {'bit for bit the simulator' if exact else 'DIFFERS from the simulator'}")
        for line in _detections(network, outputs, scale, args.threshold):
            print(f"  {line}")
        if not exact:
            return 2
    assert measured.profile is not None
    cycles = measured.cycles_per_instruction * measured.instructions[0]
    print(f"RAM           {measured.ram:>12,} bytes, of which stack {measured.stack:,}")
    print(f"flash         {measured.flash:>12,} bytes")
    print(f"instructions  {measured.instructions[0]:>12,} an image")
    print(f"cycles        {cycles:>12,.0f} estimated, {measured.seconds:.2f} s at 168 MHz")
    if args.layers:
        for name, cost in measured.profile.functions.items():
            if cost.instructions * 1000 > measured.profile.total.instructions:
                print(f"  {cost.instructions / len(images):>12,.0f} instructions  {name}")
    return 0


def _fit(path: Path, network: "IntNetwork") -> "tuple[NDArray[np.uint8], float]":
    """The image's bytes (C, H, W) scaled to fit, on grey, and how much smaller it became."""
    import numpy as np
    from PIL import Image

    from rnnpool.images import load_image
    from rnnpool.integer.images import centre_crops

    channels, height, width = network.image.shape
    if "test_crop" in network.metadata:
        return centre_crops([path], channels, (height, width), float(network.metadata["test_crop"]))[0], 1.0
    image = load_image(path).convert("L" if channels == 1 else "RGB")
    scale = min(width / image.width, height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new(image.mode, (width, height), 128 if channels == 1 else (128, 128, 128))
    canvas.paste(image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR))
    pixels = np.asarray(canvas).reshape(height, width, channels).transpose(2, 0, 1)
    return np.ascontiguousarray(pixels), scale


def _detections(network: "IntNetwork", outputs: "list[NDArray[np.int16]]", scale: float, threshold: float) -> list[str]:
    """What a detector found, in pixels of the original image; a classifier's best classes; numbers of anything else."""
    import numpy as np
    import torch

    from rnnpool.detection import Selection, select_detections
    from rnnpool.integer.detector import IntDetector

    real = network.real_outputs(outputs)
    if "classes" in network.metadata:
        named = sorted(zip(real[0].ravel(), json.loads(network.metadata["classes"]), strict=True), reverse=True)
        return [f"{name}  {score:.2f}" for score, name in named[:_CLASSES]]
    if any(network.vectors):
        return [f"output {i}: {np.array2string(value, precision=3)}" for i, value in enumerate(real)]
    head = IntDetector.of_registry(network).head
    boxes, scores = head.decode([torch.from_numpy(value)[None].float() for value in real])
    selection = Selection(threshold, head.default_iou_threshold, 100, head.default_vote_iou)
    (found,) = select_detections(boxes, scores, selection)
    return [
        f"{x1 / scale:.0f}, {y1 / scale:.0f}, {(x2 - x1) / scale:.0f} x {(y2 - y1) / scale:.0f}  score {score:.2f}"
        for (x1, y1, x2, y2), score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True)
    ]
