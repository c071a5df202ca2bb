"""Compiled networks give the simulator's very numbers, on the host and on the emulated chip, and refuse misuse."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from rnnpool.cli import main
from rnnpool.compile.emit import compile_network
from rnnpool.compile.firmware import run_on_chip
from rnnpool.compile.host import HostNetwork
from rnnpool.errors import InputError
from rnnpool.graph import lower
from rnnpool.integer.calibrate import METHODS, observe
from rnnpool.integer.fuse import fuse
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.quantise import quantise
from rnnpool.integer.rnnpool2d import IntRNNPool
from rnnpool.integer.storage import save_network
from rnnpool.models import create_model
from rnnpool.nn import RNNPool2d
from rnnpool.target.build import WARNING_FLAGS
from rnnpool.target.host import SANITIZER_FLAGS
from rnnpool.target.toolchain import missing_tools

needs_toolchain = pytest.mark.skipif(missing_tools() is not None, reason=f"firmware: {missing_tools()}")
pytestmark = pytest.mark.skipif(missing_tools(["gcc"]) is not None, reason=f"host C: {missing_tools(['gcc'])}")


def integers(model: nn.Module, shape: tuple[int, int, int], seed: int = 0) -> tuple[IntNetwork, list[np.ndarray]]:
    """A network of random weights, calibrated on the random images that are returned with it."""
    images = np.random.default_rng(seed).integers(0, 256, (2, *shape)).astype(np.uint8)
    batch = (torch.from_numpy(images).float() - 128) / 128
    model.train()
    with torch.no_grad():
        for _ in range(3):  # statistics for the batch norms
            model(batch)
    network = fuse(lower(model.eval(), shape))
    return quantise(network, observe(network, [batch]), METHODS["minmax"]), list(images)


def small_classifier() -> nn.Module:
    """What face-tiny does not have: a stem of stride 2 on RGB, a residual of 3x3, a mean, a linear layer."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU6())
            self.depthwise = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1, groups=6), nn.ReLU())
            self.dense = nn.Conv2d(6, 6, 3, 1, 1)
            self.down = nn.Sequential(nn.Conv2d(6, 14, 2, 2), nn.ReLU())
            self.linear = nn.Linear(14, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.depthwise(self.stem(x))
            x = x + self.dense(x)
            return self.linear(self.down(x).mean((2, 3)))

    return Net()


def inverted_residuals() -> nn.Module:
    """Blocks of 1x1, depthwise and 1x1 with strides 1 and 2, a sum, RNNPool, and a border on its right and below."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), RNNPool2d(4, 4, 6, 4, 2))
            self.down = self.block(24, 50, 6, 2)
            self.same = self.block(6, 12, 6, 1)
            self.last = self.block(6, 18, 8, 2)
            self.linear = nn.Linear(8, 3)

        @staticmethod
        def block(inputs: int, wide: int, outputs: int, stride: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(inputs, wide, 1), nn.ReLU(),
                nn.Conv2d(wide, wide, 3, stride, 1, groups=wide), nn.ReLU(),
                nn.Conv2d(wide, outputs, 1),
            )  # fmt: skip

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.down(nn.functional.pad(self.pool(x), (0, 1, 0, 1), mode="replicate"))
            return self.linear(self.last(x + self.same(x)).mean((2, 3)))

    return Net()


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return integers(create_model("face-tiny"), (1, 47, 61))


@pytest.fixture(scope="module")
def on_host(tiny, tmp_path_factory):
    network, _ = tiny
    return HostNetwork(compile_network(network, tmp_path_factory.mktemp("tiny")), network)


def narrowed(network: IntNetwork) -> IntNetwork:
    """RNNPool's memory in 8 bits."""
    nodes = tuple(
        replace(node, op=replace(node.op, narrow=True)) if isinstance(node.op, IntRNNPool) else node
        for node in network.nodes
    )
    return replace(network, nodes=nodes)


def test_face_tiny_on_the_host(tiny, on_host):
    network, images = tiny
    for image in images:
        for ours, simulated in zip(on_host.run(image), network.run(image), strict=True):
            np.testing.assert_array_equal(ours, simulated)
            assert ours.std() > 100  # a network that says nothing would pass everything


def test_narrow_states_take_less_memory(tiny, on_host, tmp_path):
    network = narrowed(tiny[0])
    compiled = compile_network(network, tmp_path)
    assert compiled.plan.bytes < on_host.compiled.plan.bytes - 1000
    for ours, simulated in zip(HostNetwork(compiled, network).run(tiny[1][0]), network.run(tiny[1][0]), strict=True):
        np.testing.assert_array_equal(ours, simulated)


@pytest.mark.parametrize("shape", [(3, 17, 22), (3, 32, 40)])
def test_classifier_on_the_host(tmp_path, shape):
    torch.manual_seed(1)
    network, images = integers(small_classifier(), shape)
    host = HostNetwork(compile_network(network, tmp_path, name="classifier"), network)
    for image in images:
        np.testing.assert_array_equal(host.run(image)[0], network.run(image)[0])


@pytest.mark.parametrize("shape", [(1, 33, 46), (1, 41, 37)])
@pytest.mark.parametrize("narrow", [False, True])
def test_blocks_on_the_host(tmp_path, shape, narrow):
    """By rows, cut in the middle, and as the search cuts it: whatever shares memory, the numbers are the same."""
    torch.manual_seed(4)
    network, images = integers(inverted_residuals(), shape)
    network = narrowed(network) if narrow else network
    for cuts in ((), (4, 6), None):
        host = HostNetwork(compile_network(network, tmp_path / str(cuts), name="blocks", cuts=cuts), network)
        kinds = [stage.kind for stage in host.compiled.plan.stages]
        assert kinds.count("expand") == 2
        assert "border" in kinds
        for image in images:
            np.testing.assert_array_equal(host.run(image)[0], network.run(image)[0])


@needs_toolchain
def test_face_tiny_on_the_chip(tiny, tmp_path):
    network, images = tiny
    compiled = compile_network(network, tmp_path)
    for defines in ((), ("RNP_USE_M4_DSP=0",)):
        measured = run_on_chip(compiled, network, images, defines=defines)
        for outputs, image in zip(measured.outputs, images, strict=True):
            for ours, simulated in zip(outputs, network.run(image), strict=True):
                np.testing.assert_array_equal(ours, simulated)
        line = network.image.shape[2]
        assert measured.ram - measured.stack - compiled.plan.bytes - line < 64  # nothing but the arena and a line
        assert measured.stack < 1024
        if not defines:  # in assembly no branch depends on the image
            assert measured.instructions[0] == measured.instructions[1] > 0


def test_the_code_is_clean_under_warnings_and_sanitizers(tiny, tmp_path):
    network, images = tiny
    compiled = compile_network(network, tmp_path)
    name = compiled.name
    (tmp_path / "main.c").write_text(f"""
#include <stdlib.h>
#include "{name}.h"
static void sink(void *user, int32_t output, int32_t row, const int16_t *values) {{
    (void)row;
    *(int32_t *)user += values[{name}_outputs[output].channels - 1];
}}
int main(void) {{
    static const uint8_t image[] = {{ {", ".join(map(str, images[0].reshape(-1)))} }};
    int32_t sum = 0;
    void *arena = malloc({name.upper()}_ARENA_BYTES); /* exactly, so that any access beyond is seen */
    const int32_t status = {name}_run(arena, {name.upper()}_ARENA_BYTES, image, sink, &sum);
    free(arena);
    return status == {name.upper()}_OK && sum != 0 ? 0 : 1;
}}
""")
    flags = ["-std=c99", *WARNING_FLAGS, *SANITIZER_FLAGS, *(f"-I{path}" for path in compiled.includes)]
    sources = [str(path) for path in compiled.sources if path.suffix == ".c"]
    program = tmp_path / "main"
    built = subprocess.run(["gcc", *flags, str(tmp_path / "main.c"), *sources, "-o", str(program)],
                           capture_output=True, text=True, check=False)  # fmt: skip
    assert (built.returncode, built.stderr) == (0, "")
    run = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_misuse_gives_error_codes(on_host):
    height, width = on_host.network.image.shape[1:]
    row = np.zeros((width, 1), np.uint8)
    assert on_host.begin(on_host.compiled.plan.bytes - 1) == -1
    assert on_host.begin(misalign=4) == -1
    assert on_host.begin() == 0
    assert on_host.push_row(row[1:]) == -2
    assert on_host.push_row(np.zeros((width + 1, 1), np.uint8)) == -2
    assert on_host.push_row(row) == 0
    assert on_host.finish() == -4
    assert on_host.push_row(row) == -5
    assert on_host.finish() == -5
    assert on_host.begin() == 0
    assert [on_host.push_row(row) for _ in range(height)] == [0] * height
    assert on_host.push_row(row) == -3
    assert on_host.finish() == 0
    assert on_host.finish() == -5


def test_a_new_image_forgets_the_last(tiny, on_host):
    """After an image given up half-way, in an arena full of its rows."""
    network, images = tiny
    assert on_host.begin() == 0
    for _ in range(20):
        assert on_host.push_row(np.full((61, 1), 255, np.uint8)) == 0
    for ours, simulated in zip(on_host.run(images[1]), network.run(images[1]), strict=True):
        np.testing.assert_array_equal(ours, simulated)


def test_unsupported_operators_are_named(tmp_path):
    torch.manual_seed(2)
    wide = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 5, padding=2, groups=4), nn.Conv2d(4, 2, 1))
    network, _ = integers(wide, (1, 12, 12))
    with pytest.raises(InputError, match=r"depthwise \(5, 5\) with stride \(1, 1\)"):
        compile_network(network, tmp_path)
    network, _ = integers(small_classifier(), (3, 16, 16))
    with pytest.raises(InputError, match="name is '7up'; a C identifier"):
        compile_network(network, tmp_path, name="7up")


def test_the_folder_builds_by_itself(tiny, tmp_path):
    compile_network(tiny[0], tmp_path)
    subprocess.run(["make", "-s", "-C", tmp_path, "CFLAGS=-Werror"], check=True, capture_output=True)
    assert (tmp_path / "build" / "libface_tiny.a").is_file()
    if missing_tools(["arm-none-eabi-gcc"]) is None:
        subprocess.run(["make", "-s", "-C", tmp_path, "clean"], check=True)
        subprocess.run(["make", "-s", "-C", tmp_path, "TARGET=cortex-m4", "CFLAGS=-Werror"], check=True)
    readme = (tmp_path / "README.md").read_text()
    assert "61 x 47, 1 byte a pixel" in readme


def test_cuts_make_maps_whole_and_change_no_number(tmp_path):
    """A classifier by rows alone, cut by hand, and as the search cuts it."""
    torch.manual_seed(3)
    network, images = integers(small_classifier(), (3, 32, 40))
    expected = network.run(images[0])[0]
    sizes = {}
    for name, cuts in (("rows", ()), ("cut", (2, 4)), ("found", None)):
        compiled = compile_network(network, tmp_path / name, name="net", cuts=cuts)
        sizes[name] = compiled.plan.bytes
        np.testing.assert_array_equal(HostNetwork(compiled, network).run(images[0])[0], expected)
    assert sizes["found"] <= min(sizes.values())
    assert sizes["cut"] > sizes["rows"]


@needs_toolchain
def test_verbs(tiny, tmp_path, capsys):
    from PIL import Image

    save_network(tiny[0], tmp_path / "net.safetensors")
    assert main(["compile", str(tmp_path / "net.safetensors"), "-o", str(tmp_path / "c")]) == 0
    assert (tmp_path / "c" / "face_tiny.c").is_file()
    Image.fromarray(tiny[1][0][0]).save(tmp_path / "a.png")
    assert main(["firmware", str(tmp_path / "net.safetensors"), str(tmp_path / "a.png"), "--layers"]) == 0
    printed = capsys.readouterr().out
    assert "a.png: bit for bit the simulator" in printed
    assert "estimated" in printed
    assert "rnp_fastgrnn_step" in printed
    assert main(["firmware", str(tmp_path / "net.safetensors"), "a.png", "--threshold", "2"]) == 2
    assert "--threshold is 2" in capsys.readouterr().err
