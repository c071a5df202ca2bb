"""``rnnpool firmware`` and ``rnnpool compile``, run in this process."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from rnnpool.cli import main
from rnnpool.commands.firmware import fit
from rnnpool.compile import exactness
from rnnpool.compile.host import HostLibrary
from rnnpool.compile.trace import Trace
from rnnpool.integer.convert import convert
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.storage import save_network
from rnnpool.target.toolchain import missing_tools
from small_face import noise, register_small_face, small_face_integers

needs_toolchain = pytest.mark.skipif(missing_tools() is not None, reason=f"firmware: {missing_tools()}")
needs_gcc = pytest.mark.skipif(missing_tools(["gcc"]) is not None, reason=f"host C: {missing_tools(['gcc'])}")

ARGUMENTS = ["firmware", "small.safetensors"]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> IntNetwork:
    """Integers of a registered detector in small.safetensors, and photos, in the working folder."""
    monkeypatch.chdir(tmp_path)
    register_small_face(monkeypatch)
    network = small_face_integers()
    save_network(network, "small.safetensors")
    Path("photos").mkdir()
    for i, image in enumerate(noise(12, 40, 90)):
        Image.fromarray(image[0]).save(f"photos/{i:02}.png")
    return network


@needs_toolchain
def test_what_the_chip_found_is_printed_and_drawn(network: IntNetwork, capsys: pytest.CaptureFixture) -> None:
    Path("broken.png").write_bytes(b"no image")
    photos = ["photos/00.png", "broken.png", "photos/01.png"]
    assert main([*ARGUMENTS, *photos, "--threshold", "0.3", "--out", "found", "--layers"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("rnnpool: skipped: broken.png")
    lines = captured.out.splitlines()
    assert lines.count("  bit for bit the simulator") == 2
    heads = [re.fullmatch(r"photos/0[01].png: (\d+) faces? -> found/0[01].png", line) for line in lines]
    counts = [int(head[1]) for head in heads if head]
    boxes = [re.fullmatch(r"  \d+ x \d+ at x (\d+), y (\d+)  score (0\.\d\d)", line) for line in lines]
    corners = [(int(box[1]), int(box[2])) for box in boxes if box]
    assert sum(counts) == len(corners) > 4
    assert max(x for x, _ in corners) > 64  # in pixels of the photo, which is wider than the network's input
    assert all(x <= 90 and y <= 40 for x, y in corners)
    assert all(float(box[3]) >= 0.3 for box in boxes if box)
    (ram,) = (line for line in lines if line.startswith("RAM"))
    assert int(ram.split()[1].replace(",", "")) > 1536
    assert any("rnp_detect_row" in line for line in lines)
    table = lines.index("    instructions  multiply-adds  a multiply-add  layer")
    assert "rows that arrive" in lines[table + 1]
    counted = [node.name for node in network.nodes if any(node.name in line for line in lines[table:])]
    assert counted == [node.name for node in network.nodes[1:]]
    with Image.open("found/00.png") as drawn, Image.open("photos/00.png") as photo:
        enlarged = photo.convert("RGB").resize(drawn.size, Image.Resampling.NEAREST)
        assert (np.asarray(drawn) != np.asarray(enlarged)).any()


@needs_toolchain
def test_check_compares_many_images_here_and_some_on_the_chip(
    network: IntNetwork, capsys: pytest.CaptureFixture
) -> None:
    assert main([*ARGUMENTS, "photos", "--check", "11"]) == 0
    lines = capsys.readouterr().out.splitlines()
    numbers = 11 * sum(int(np.prod(network.nodes[output].shape)) for output in network.outputs)
    assert re.fullmatch(
        rf"11 images on this machine: {numbers:,} outputs, \d+ detections, bit for bit the simulator", lines[0]
    )
    assert lines[1] == "10 images on the emulated chip: bit for bit the simulator"
    assert lines[4].startswith("instructions")
    assert main([*ARGUMENTS, "photos", "--check", "2", "--intermediates"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"2 images on this machine: .*, [\d,]+ numbers of \d+ other tensors, bit for .*", lines[0])
    assert lines[1] == "2 images on the emulated chip: bit for bit the simulator, tensor by tensor"
    assert lines[2].startswith("RAM")  # no tensor of it is fused away
    assert main([*ARGUMENTS, "photos", "--intermediates"]) == 2
    assert "--intermediates says what --check compares; add --check N" in capsys.readouterr().err


@needs_gcc
@pytest.mark.parametrize("what", ["outputs", "detections", "intermediates"])
def test_a_wrong_bit_is_told(
    network: IntNetwork, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, what: str
) -> None:
    if what == "outputs":
        run = HostLibrary.run

        def wrong(self, image):
            outputs = run(self, image)
            outputs[1][0, 0, 0] ^= 1
            return outputs

        monkeypatch.setattr(HostLibrary, "run", wrong)
    elif what == "intermediates":
        add = Trace.add
        monkeypatch.setattr(Trace, "add", lambda self, tensor, row, pixels: add(self, tensor, row, pixels ^ (row == 3)))
    else:
        detect = HostLibrary.detect
        monkeypatch.setattr(HostLibrary, "detect", lambda self, image: detect(self, image)[:-1])
    more = ["--intermediates"] if what == "intermediates" else []
    assert main([*ARGUMENTS, "photos", "--check", "1", *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rnnpool: error: photos/06.png, on this machine: ")
    wanted = {
        "outputs": r"1 of the 60 numbers of output \S+ differ",
        "detections": r"detections differ: \d+, where the",
        "intermediates": r"layer image, row 3, channel 0, pixel 0: \d+, where the simulator has \d+$",
    }
    assert re.search(wanted[what], error)


def test_differences_are_named(network: IntNetwork) -> None:
    image = noise(1)[0]
    truth = exactness.simulate_image(network, None, image, 0)
    assert exactness.find_difference(network, truth, truth.outputs, None) is None
    boxes = np.array([[1, 2, 3, 4, 5]])
    found = exactness.Truth(truth.outputs, boxes, truth.tensors)
    assert exactness.find_difference(network, found, truth.outputs, boxes) is None
    for other in (None, boxes[:0], boxes + 1):
        difference = exactness.find_difference(network, found, truth.outputs, other)
        assert difference == f"detections differ: {0 if other is None else len(other)}, where the simulator finds 1"


@needs_toolchain
def test_a_classifier_has_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    images = list(np.random.default_rng(0).integers(0, 256, (4, 3, 16, 20)).astype(np.uint8))
    save_network(convert(net, (3, 16, 20), images, name="classes", method="minmax").network, "net.safetensors")
    Image.fromarray(images[0].transpose(1, 2, 0)).save("a.png")
    assert main(["firmware", "net.safetensors", "a.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a.png"
    assert lines[1].startswith("  output 0: [")
    assert main(["firmware", "net.safetensors", "a.png", "--out", "found"]) == 2
    assert "--out draws detections; classes finds none" in capsys.readouterr().err
    assert main(["compile", "net.safetensors", "-o", "c"]) == 0
    assert "classes.h gives scores" in capsys.readouterr().out
    assert "int16_t *scores" in Path("c/classes.h").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threshold", "2"], "--threshold is 2; a score is 0..1"),
        (["--check", "0"], "--check is 0; it is a number of images, 1 or more"),
        (["--check", "3", "--out", "found"], "--out draws detections; --check shows none"),
    ],
)
def test_wrong_options(network: IntNetwork, capsys: pytest.CaptureFixture, arguments: list[str], message: str) -> None:
    assert main([*ARGUMENTS, "photos", *arguments]) == 2
    assert capsys.readouterr().err == f"rnnpool: error: {message}\n"


def test_wrong_inputs(network: IntNetwork, capsys: pytest.CaptureFixture) -> None:
    assert main([*ARGUMENTS, "nowhere.png"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "rnnpool: error: no image to look at"
    assert main(["firmware", "no-net", "photos"]) == 2
    assert "no-net: no such file, and no network whose integers are shipped" in capsys.readouterr().err
    assert main(["compile", "none.safetensors", "-o", "c"]) == 2
    assert "none.safetensors: there is no such file of an integer network" in capsys.readouterr().err


def test_photos_are_fitted() -> None:
    image = Image.fromarray(np.full((100, 50), 200, np.uint8)).convert("RGB")
    pixels, scale = fit(image, (1, 48, 64))
    assert scale == 0.48
    assert (pixels[0, :, :24] == 200).all()
    assert (pixels[0, :, 24:] == 128).all()


@needs_gcc
def test_compile_says_what_it_gives(network: IntNetwork, capsys: pytest.CaptureFixture) -> None:
    assert main(["compile", "small.safetensors", "-o", "c", "--target", "c99"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "c: small_face.h gives detections"
    assert re.fullmatch(r"[\d,]+ bytes of RAM in \d phase\(s\), and 1,536 for the detections", lines[1])
    assert not list(Path("c").rglob("*.S"))
