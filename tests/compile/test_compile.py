"""Compiled networks give the simulator's very numbers, on the host and on the emulated chip, and refuse misuse."""

import ctypes
import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from rnnpool.cli import main
from rnnpool.compile.emit import Compiled, compile_network
from rnnpool.compile.firmware import run_on_chip
from rnnpool.compile.host import HostNetwork
from rnnpool.compile.schedule import plan_arena
from rnnpool.compile.stages import build_stages
from rnnpool.errors import InputError
from rnnpool.graph import lower
from rnnpool.integer.calibrate import METHODS, observe
from rnnpool.integer.convert import convert
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.detector import find_integer_head
from rnnpool.integer.fuse import fuse
from rnnpool.integer.head import SCORE
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.quantise import quantise
from rnnpool.integer.rnnpool2d import IntRNNPool
from rnnpool.integer.storage import save_network
from rnnpool.models import create_model
from rnnpool.nn import RNNPool2d
from rnnpool.target.build import WARNING_FLAGS
from rnnpool.target.host import build_executable
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
    """face-tiny, which gives detections."""
    network, _ = tiny
    compiled = compile_network(network, tmp_path_factory.mktemp("tiny"), head=find_integer_head(network))
    return HostNetwork(compiled, network)


@pytest.fixture(scope="module")
def rows_on_host(tiny, tmp_path_factory):
    """The same network without a head, which gives the rows of its outputs."""
    network, _ = tiny
    return HostNetwork(compile_network(network, tmp_path_factory.mktemp("rows")), network)


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


def test_detections_on_the_host(tiny, on_host):
    """From image to boxes; the rows, which are watched in the first case alone, make no difference."""
    network, images = tiny
    head = on_host.compiled.head
    for image in images:
        for threshold in (0, SCORE // 3, SCORE):
            expected = head.detect(network.run(image), threshold)
            np.testing.assert_array_equal(on_host.detect(image, threshold), expected)
        assert len(on_host.detect(image)) > 10
        assert on_host.run(image)  # through begin, watch, push_row and finish
        count = on_host.begin() or [on_host.push_row(row) for row in image.transpose(1, 2, 0)][-1] or on_host.finish()
        assert count == len(head.detect(network.run(image)))


def test_rows_without_a_head(tiny, rows_on_host):
    network, images = tiny
    assert (rows_on_host.compiled.kind, rows_on_host.compiled.head) == ("rows", None)
    for ours, simulated in zip(rows_on_host.run(images[0]), network.run(images[0]), strict=True):
        np.testing.assert_array_equal(ours, simulated)
    assert rows_on_host.begin(missing=True) == -6
    assert rows_on_host.begin() == 0
    assert rows_on_host.finish() == -4


def test_narrow_states_take_less_memory(tiny, on_host, tmp_path):
    network = narrowed(tiny[0])
    compiled = compile_network(network, tmp_path)
    assert compiled.plan.bytes < 0.92 * on_host.compiled.plan.bytes
    for ours, simulated in zip(HostNetwork(compiled, network).run(tiny[1][0]), network.run(tiny[1][0]), strict=True):
        np.testing.assert_array_equal(ours, simulated)


@pytest.mark.parametrize("shape", [(3, 17, 22), (3, 32, 40)])
def test_classifier_on_the_host(tmp_path, shape):
    torch.manual_seed(1)
    network, images = integers(small_classifier(), shape)
    host = HostNetwork(compile_network(network, tmp_path, name="classifier"), network)
    assert host.compiled.kind == "scores"
    for image in images:
        expected = network.run(image)[0]
        np.testing.assert_array_equal(host.run(image)[0], expected)
        np.testing.assert_array_equal(host.scores, expected[:, 0, 0])
    assert host.begin(missing=True) == -6


@pytest.mark.parametrize(("shape", "narrow"), [((1, 33, 46), False), ((1, 41, 37), True)])
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


def test_sums_wait_instead_of_rows(tmp_path):
    """A 3x3 with few outputs, on a map of two rows as well."""
    torch.manual_seed(5)
    head = nn.Sequential(nn.Conv2d(1, 24, 3, 2, 1), nn.ReLU(), nn.Conv2d(24, 3, 3, 1, 1))
    for shape in ((1, 11, 22), (1, 3, 16)):
        network, images = integers(head, shape)
        host = HostNetwork(compile_network(network, tmp_path / str(shape), name="head"), network)
        assert [stage.kind for stage in host.compiled.plan.stages] == ["image", "conv", "sums"]
        for image in images:
            np.testing.assert_array_equal(host.run(image)[0], network.run(image)[0])


@pytest.mark.parametrize(("outputs", "kind"), [(4, "sums"), (6, "conv")])
def test_sums_wait_also_where_they_take_as_much(outputs, kind):
    """16 bytes a pixel of two output rows' sums against 16 input channels; 24 would be more."""
    layers = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, outputs, 3, 1, 1))
    network, _ = integers(layers, (1, 16, 16))
    assert [stage.kind for stage in build_stages(network)] == ["image", "conv", kind]


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(6, 2, 2), (5, 1, 3), (4, 3, 1)])
@pytest.mark.parametrize("height", [17, 22])
def test_several_rows_of_windows_may_end_below_the_image(kernel, stride, padding, height, tmp_path):
    torch.manual_seed(6)
    pool = RNNPool2d(4, 6, 4, kernel, stride, padding)
    layers = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), pool, nn.Conv2d(16, 8, 1), nn.Conv2d(8, 3, 3, 1, 1))
    network, images = integers(layers, (1, height, 20))
    host = HostNetwork(compile_network(network, tmp_path, name="net"), network)
    for image in images:
        np.testing.assert_array_equal(host.run(image)[0], network.run(image)[0])


@needs_toolchain
def test_face_tiny_on_the_chip(tiny, tmp_path):
    network, images = tiny
    head = find_integer_head(network)
    compiled = compile_network(network, tmp_path, head=head)
    for defines, threshold in (((), SCORE // 120), (("RNP_USE_M4_DSP=0",), 0)):
        measured = run_on_chip(compiled, network, images, defines=defines, threshold=threshold)
        for outputs, found, image in zip(measured.outputs, measured.detections, images, strict=True):
            for ours, simulated in zip(outputs, network.run(image), strict=True):
                np.testing.assert_array_equal(ours, simulated)
            np.testing.assert_array_equal(found, head.detect(outputs, threshold))
        assert any(len(found) for found in measured.detections)
        line, detections = network.image.shape[2], 12 * head.candidates
        # Nothing but the arena, a line, and the detections.
        assert measured.ram - measured.stack - compiled.plan.bytes - line - detections < 64
        assert measured.stack < 1024


@needs_toolchain
def test_rows_on_the_chip_take_the_same_time_for_every_image(tiny, tmp_path):
    network, images = tiny
    measured = run_on_chip(compile_network(network, tmp_path), network, images)
    assert measured.detections is None
    assert measured.instructions[0] == measured.instructions[1] > 0  # in assembly no branch depends on the image
    for ours, simulated in zip(measured.outputs[1], network.run(images[1]), strict=True):
        np.testing.assert_array_equal(ours, simulated)


@needs_toolchain
def test_classifier_on_the_chip(tmp_path):
    torch.manual_seed(1)
    network, images = integers(small_classifier(), (3, 17, 22))
    measured = run_on_chip(compile_network(network, tmp_path, name="net"), network, images)
    for outputs, image in zip(measured.outputs, images, strict=True):
        np.testing.assert_array_equal(outputs[0], network.run(image)[0])


def run_sanitized(*runs: tuple[Compiled, np.ndarray, str, str, str]) -> None:
    """Run images through networks under the sanitizers, in memory of exactly the sizes that the headers name.

    Args:
        runs: network, image, C that allocates what is ``found``, the run function's last arguments, and what is true of
            its ``status`` and of what it found.
    """
    headers, functions = "", ""
    for compiled, image, allocated, arguments, right in runs:
        name, size = compiled.name, f"{compiled.name.upper()}_ARENA_BYTES"
        headers += f'#include "{name}.h"\n'
        functions += f"""
static int check_{name}(void) {{
    static const uint8_t image[] = {{ {", ".join(map(str, image.transpose(1, 2, 0).reshape(-1)))} }};
    void *arena = malloc({size});
    {allocated}
    const int32_t status = {name}_run(arena, {size}, image, {arguments});
    const int right = {right};
    free(arena);
    free(found);
    return right;
}}
"""
    networks = [run[0] for run in runs]
    calls = " && ".join(f"check_{compiled.name}()" for compiled in networks)
    path = networks[0].folder / "main.c"
    path.write_text(f"#include <stdlib.h>\n{headers}{functions}\nint main(void) {{ return {calls} ? 0 : 1; }}\n")
    sources = [path, *(compiled.sources[0] for compiled in networks), *networks[0].sources[1:]]
    program = build_executable(
        [source for source in sources if source.suffix == ".c"],
        path.with_suffix(""),
        includes=[folder for compiled in networks for folder in compiled.includes],
    )
    run = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_the_code_is_clean_under_warnings_and_sanitizers(tiny, tmp_path):
    network, images = tiny
    head = find_integer_head(network)
    expected = head.detect(network.run(images[0]), SCORE // 120)
    assert len(expected)
    found = "rnp_detection *found = malloc(FACE_TINY_DETECTIONS * sizeof *found);"
    right = f"status == {len(expected)} && found[0].x1 == {expected[0][0]} && found[0].score == {expected[0][4]}"
    compiled = compile_network(network, tmp_path, head=head)
    run_sanitized((compiled, images[0], found, f"found, {SCORE // 120}", right))


class _Residual(nn.Module):
    """A sum whose second operand is a convolution of larger stride than its kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.beside = nn.Conv2d(1, 4, 5, 3, 2), nn.Conv2d(1, 4, 1, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.down(x) + self.beside(x))


def test_nothing_is_read_beyond_the_memory(tmp_path):
    """By tiles of four columns, of which the last ones of a row may be far outside: the sanitizers watch."""
    layers = {
        "patches": (nn.Conv2d(1, 8, 16, 16), (1, 32, 16)),
        "padded_patches": (nn.Conv2d(1, 4, 16, 16, padding=4), (1, 40, 24)),
        "large_kernel": (nn.Conv2d(3, 4, 9, 4, 4), (3, 21, 20)),
        "windows": (RNNPool2d(1, 4, 1, (20, 21), (20, 3), (10, 10)), (1, 21, 22)),
        "residual": (_Residual(), (1, 20, 22)),
    }
    torch.manual_seed(9)
    runs = []
    for name, (layer, shape) in layers.items():
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(2))
        network, images = integers(nn.Sequential(layer, nn.ReLU(), head), shape)
        first, second = network.run(images[0])[0].reshape(-1)
        found = f"int16_t *found = malloc({name.upper()}_SCORES * sizeof *found);"
        right = f"status == 0 && found[0] == {first} && found[1] == {second}"
        runs.append((compile_network(network, tmp_path / name, name=name), images[0], found, "found", right))
    run_sanitized(*runs)


def test_misuse_gives_error_codes(on_host):
    height, width = on_host.network.image.shape[1:]
    row = np.zeros((width, 1), np.uint8)
    assert on_host.begin(on_host.compiled.plan.bytes - 1) == -1
    assert on_host.begin(misalign=4) == -1
    assert on_host.begin(missing=True) == -6
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
    assert on_host.watch() == -5
    for threshold in (-1, SCORE + 1):
        assert on_host.finish(threshold) == -6
    assert on_host.finish() > 0  # which the wrong thresholds did not end
    assert on_host.finish() == -5
    assert on_host.watch() == -5
    nothing = ctypes.c_void_p(None)
    library, name = on_host._library, on_host.compiled.name
    assert library[f"{name}_begin"](nothing, 1 << 20, nothing) == -1
    assert library[f"{name}_watch"](nothing, nothing, nothing) == -1
    assert library[f"{name}_push_row"](nothing, nothing, 0) == -1
    assert library[f"{name}_finish"](nothing, 0) == -1
    arena, found = on_host._arena(), np.zeros(1536, np.uint8).ctypes.data_as(ctypes.c_void_p)
    size = ctypes.c_size_t(on_host.compiled.plan.bytes)
    assert library[f"{name}_run"](arena, size, nothing, found, 0) == -6
    assert on_host.begin() == 0
    assert library[f"{name}_push_row"](arena, nothing, ctypes.c_size_t(width)) == -2


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
    network, _ = integers(small_classifier(), (3, 16, 16))
    nodes = [
        replace(node, op=replace(node.op, padding=(0, 0))) if getattr(node.op, "depthwise", False) else node
        for node in network.nodes
    ]
    with pytest.raises(InputError, match=r"depthwise \(3, 3\) with stride \(1, 1\) and padding \(0, 0\)"):
        compile_network(replace(network, nodes=tuple(nodes)), tmp_path)
    with pytest.raises(InputError, match="name is '7up'; a C identifier"):
        compile_network(network, tmp_path, name="7up")


def test_convolutions_of_other_shapes(tmp_path):
    """Wide paddings, an average over windows, depthwise convolutions of kernels that the depthwise kernel lacks."""
    torch.manual_seed(8)
    layers = [nn.Conv2d(1, 6, 3, 1, (2, 6)), nn.ReLU(), nn.Conv2d(6, 6, 5, 1, 2, groups=6), nn.ReLU()]
    layers += [nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(6, 5, 1), nn.Conv2d(5, 5, 3, 3, 1, groups=5)]
    model = nn.Sequential(*layers, nn.AvgPool2d((3, 2), (2, 1)), nn.Conv2d(5, 5, 9, 1, (2, 5), groups=5))
    network, images = integers(model, (1, 32, 20))
    assert [node.op.groups for node in network.nodes if isinstance(node.op, IntConv)] == [1, 3, 3, 1, 1, 1, 1]
    x = torch.rand(1, 1, 32, 20)
    with torch.no_grad():
        torch.testing.assert_close(fuse(lower(model, (1, 32, 20))).run(x)[0], model(x), rtol=1e-4, atol=1e-5)
    host = HostNetwork(compile_network(network, tmp_path, name="net"), network)
    for image in images:
        np.testing.assert_array_equal(host.run(image)[0], network.run(image)[0])


class _Ends(nn.Module):
    """Outputs that are no convolution of int16 results by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.next = nn.Conv2d(1, 6, 3, 2, 1), nn.Conv2d(6, 4, 3, 1, 1)
        self.norm = nn.BatchNorm2d(4)
        self.depthwise = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, 2, 1, groups=4))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        tapped = self.stem(x)
        last = torch.relu(self.next(torch.relu(tapped)))
        mean = nn.functional.adaptive_avg_pool2d(last, 1)
        single = self.next(tapped)
        return x, tapped, last, last + last, self.norm(last), self.depthwise(x), mean, mean.flatten(1), single, single


def test_every_layer_may_end_a_network(tmp_path):
    """What is no unclipped convolution that nothing else reads is copied to int16, to within half a byte's step."""
    torch.manual_seed(7)
    network, images = integers(_Ends(), (1, 14, 18))
    host = HostNetwork(compile_network(network, tmp_path, name="ends"), network)
    assert sum(".output." in node.name for node in network.nodes) == 10
    values: dict[str, np.ndarray] = {}
    for image in images:
        simulated = network.run(image, lambda node, value: values.update({node.name: node.output.dequantise(value)}))
        for ours, expected in zip(host.run(image), simulated, strict=True):
            np.testing.assert_array_equal(ours, expected)
        for number, output in zip(network.outputs, network.real_outputs(simulated), strict=True):
            node = network.nodes[number]
            source = network.nodes[node.inputs[0]]
            copied = values[source.name]
            np.testing.assert_allclose(output.reshape(copied.shape), copied, rtol=0, atol=source.output.scale / 2)


def test_files_of_the_user_are_not_replaced(tmp_path):
    network, _ = integers(small_classifier(), (3, 40, 48))
    (tmp_path / "Makefile").write_text("all:\n")
    with pytest.raises(InputError, match=r"holds Makefile, which is not of an earlier compile"):
        compile_network(network, tmp_path, name="net")
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]
    assert (tmp_path / "Makefile").read_text() == "all:\n"
    with pytest.raises(InputError, match="is a file"):
        compile_network(network, tmp_path / "Makefile", name="net")
    for _ in range(2):  # its own files are
        compile_network(network, tmp_path / "net", name="net")


def test_the_folder_builds_by_itself(tiny, tmp_path):
    compile_network(tiny[0], tmp_path)
    subprocess.run(["make", "-s", "-C", tmp_path, "CFLAGS=-Werror"], check=True, capture_output=True)
    symbols = subprocess.run(
        ["nm", "-u", tmp_path / "build" / "libface_tiny.a"], check=True, capture_output=True, text=True
    )
    needed = {name for name in re.findall(r"^ +U (\w+)$", symbols.stdout, re.MULTILINE) if not name.startswith("rnp_")}
    assert needed <= {"memcpy", "memmove", "memset", "_GLOBAL_OFFSET_TABLE_"}
    if missing_tools(["arm-none-eabi-gcc"]) is None:
        subprocess.run(["make", "-s", "-C", tmp_path, "clean"], check=True)
        subprocess.run(["make", "-s", "-C", tmp_path, "TARGET=cortex-m4", "CFLAGS=-Werror"], check=True)
    readme = (tmp_path / "README.md").read_text()
    assert "61 x 47, 1 byte a pixel" in readme


@pytest.mark.parametrize("head", [True, False], ids=["detections", "rows"])
@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_cxx_calls_it(tiny, tmp_path, head):
    compile_network(tiny[0], tmp_path, name="net", head=find_integer_head(tiny[0]) if head else None)
    subprocess.run(["make", "-s", "-C", tmp_path], check=True, capture_output=True)
    results = "nullptr" if head else "nullptr, nullptr"
    (tmp_path / "user.cpp").write_text(f"""\
#include "net.h"
int main() {{ return net_begin(nullptr, 0, {results}) == NET_ERROR_ARENA ? 0 : 1; }}
""")
    files = [tmp_path / "user.cpp", tmp_path / "build" / "libnet.a", "-o", tmp_path / "user"]
    flags = ["-std=c++11", *WARNING_FLAGS, "-Wpedantic", "-Werror", f"-I{tmp_path}", f"-I{tmp_path / 'runtime'}"]
    subprocess.run(["g++", *flags, *files], check=True)
    subprocess.run([tmp_path / "user"], check=True)


@pytest.mark.parametrize("name", ["9x", "*/x", "string", "STDINT", "rnp", "rnp_stream"])
def test_names_that_c_cannot_have_are_refused(tiny, tmp_path, name):
    with pytest.raises(InputError, match=re.escape(f"name is {re.sub(r'[^A-Za-z0-9_]', '_', name)!r}; ")):
        compile_network(tiny[0], tmp_path / "out", name=name)
    assert not (tmp_path / "out").exists()


def test_other_letters_of_names_become_underscores(tiny, tmp_path):
    assert compile_network(tiny[0], tmp_path, name="Gr\xf6\xdfe 2").name == "Gr__e_2"


def test_the_readme_says_which_class_is_which(tmp_path):
    network, _ = integers(small_classifier(), (3, 24, 24))
    compile_network(network, tmp_path / "unnamed")
    assert "| class |" not in (tmp_path / "unnamed" / "README.md").read_text()
    network.metadata["classes"] = json.dumps(["black cat", "a|b", "Gr\xf6\xdfe\n*/"])
    compile_network(network, tmp_path / "named")
    lines = (tmp_path / "named" / "README.md").read_text(encoding="utf-8").splitlines()
    first = lines.index("| score | class |") + 2
    expected = ["| `scores[0]` | black cat |", "| `scores[1]` | a\\|b |", "| `scores[2]` | Gr\xf6\xdfe \\*/ |"]
    assert lines[first : first + 3] == expected


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake")
def test_the_folder_is_part_of_a_cmake_project(tiny, tmp_path):
    compile_network(tiny[0], tmp_path / "net", name="net", head=find_integer_head(tiny[0]))
    (tmp_path / "CMakeLists.txt").write_text("""\
cmake_minimum_required(VERSION 3.13)
project(user C)
add_subdirectory(net)
add_executable(user user.c)
target_link_libraries(user net)
""")
    (tmp_path / "user.c").write_text("""\
#include "net.h"
static uint64_t arena[NET_ARENA_BYTES / 8];
static rnp_detection found[NET_DETECTIONS];
int main(void) { return net_begin(arena, sizeof arena, found) == NET_OK ? 0 : 1; }
""")
    for command in (["cmake", "-S", tmp_path, "-B", tmp_path / "build"], ["cmake", "--build", tmp_path / "build"]):
        subprocess.run(command, check=True, capture_output=True)
    subprocess.run([tmp_path / "build" / "user"], check=True)


@pytest.mark.parametrize("head", [True, False], ids=["detections", "rows"])
def test_the_readme_shows_a_program_that_runs(tiny, tmp_path, head):
    network, _ = tiny
    compiled = compile_network(network, tmp_path, head=find_integer_head(network) if head else None)
    (code,) = re.findall(r"^```c\n(.*?)^```$", (tmp_path / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert code.count("\n") <= 24
    camera = "void camera_read_line(uint8_t *line) { for (int x = 0; x < 61; x++) { line[x] = (uint8_t)x; } }\n"
    uses = "#include <stdio.h>\nvoid use(int x, int y, int width, int height);\n"
    uses += 'void use(int x, int y, int width, int height) { printf("%d %d %d %d\\n", x, y, width, height); }\n'
    main = "int main(void) { return look(); }\n"
    (tmp_path / "main.c").write_text(
        f"#include <stdint.h>\nvoid camera_read_line(uint8_t *line);\n{camera}{uses}{code}{main}"
    )
    build_executable(
        [tmp_path / "main.c", *(path for path in compiled.sources if path.suffix == ".c")],
        tmp_path / "main",
        includes=compiled.includes,
    )
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_targets(tiny, tmp_path):
    network, images = tiny
    portable = compile_network(network, tmp_path / "c99", target="c99")
    assert not [path for pattern in ("*.S", "*_sse2.h") for path in portable.folder.rglob(pattern)]
    config = (portable.folder / "runtime" / "rnp_config.h").read_text()
    assert "#define RNP_USE_M4_DSP 0\n#define RNP_USE_SSE2 0\n" in config
    image = HostNetwork(portable, network).run(images[0])
    for ours, simulated in zip(image, network.run(images[0]), strict=True):
        np.testing.assert_array_equal(ours, simulated)
    if missing_tools() is None:
        outputs = run_on_chip(portable, network, images[:1]).outputs[0]
        for ours, simulated in zip(outputs, network.run(images[0]), strict=True):
            np.testing.assert_array_equal(ours, simulated)
        chip = compile_network(network, tmp_path / "m4", target="cortex-m4")
        subprocess.run(["make", "-s", "-C", chip.folder, "CFLAGS=-Werror"], check=True, capture_output=True)
        assert "ARM" in subprocess.run(
            ["arm-none-eabi-objdump", "-f", chip.folder / "build" / "libface_tiny.a"],
            capture_output=True, text=True, check=True,
        ).stdout.upper()  # fmt: skip


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


@pytest.mark.parametrize(("entries", "kind"), [(65535, "uint16_t"), (65536, "uint32_t")])
def test_long_schedules_are_counted_in_full(tmp_path, monkeypatch, entries, kind):
    """Networks that need so many take long to plan: here the last entry is repeated."""
    network, _ = integers(nn.Conv2d(1, 2, 1), (1, 3, 4))
    plan = plan_arena(build_stages(network))
    last = plan.acts[-1]
    last += last[-1:] * (entries - sum(map(len, plan.acts)))
    monkeypatch.setattr("rnnpool.compile.emit.plan_arena", lambda stages, cuts: plan)
    code = (compile_network(network, tmp_path, name="long").folder / "long.c").read_text()
    assert f"static const {kind} schedule_end[3] = {{\n    1, 2, {entries},\n}};" in code


@needs_toolchain
def test_verbs(tiny, tmp_path, capsys):
    from PIL import Image

    save_network(tiny[0], tmp_path / "net.safetensors")
    assert main(["compile", str(tmp_path / "net.safetensors"), "-o", str(tmp_path / "c")]) == 0
    assert (tmp_path / "c" / "face_tiny.c").is_file()
    Image.fromarray(tiny[1][0][0]).save(tmp_path / "a.png")
    assert main(["firmware", str(tmp_path / "net.safetensors"), str(tmp_path / "a.png"), "--layers"]) == 0
    printed = capsys.readouterr().out
    assert "bit for bit the simulator" in printed
    assert "estimated" in printed
    assert "rnp_fastgrnn_step" in printed
    assert main(["firmware", str(tmp_path / "net.safetensors"), "a.png", "--threshold", "2"]) == 2
    assert "--threshold is 2" in capsys.readouterr().err


def test_weights_of_4_bits_take_less_flash(tmp_path):
    """A pair and a 1x1 of its own, whose kernels unpack; the wide output keeps its 8 bits."""
    torch.manual_seed(5)
    layers = [nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 68, 1), nn.ReLU(), nn.Conv2d(68, 64, 1)]
    layers += [nn.Conv2d(64, 64, 3, 1, 1, groups=64), nn.Conv2d(64, 34, 1), nn.ReLU6(), nn.Conv2d(34, 5, 3, 1, 1)]
    images = list(np.random.default_rng(6).integers(0, 256, (2, 1, 10, 14)).astype(np.uint8))
    sizes = {}
    for pixels in (0, 100):
        network = convert(nn.Sequential(*layers), (1, 10, 14), images, method="minmax", nibbles=pixels).network
        host = HostNetwork(compile_network(network, tmp_path / str(pixels), name="thin"), network)
        np.testing.assert_array_equal(host.run(images[1])[0], network.run(images[1])[0])
        sizes[pixels] = (tmp_path / str(pixels) / "thin_weights.h").stat().st_size
        assert ("rnp_nibbles_pair_row" in (tmp_path / str(pixels) / "thin.c").read_text()) == bool(pixels)
    assert sizes[100] < 0.72 * sizes[0]
