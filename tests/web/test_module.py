"""A page's WebAssembly gives the simulator's very numbers, in wasmtime."""

import numpy as np
import pytest
from wasm_runner import WasmNetwork

from rnnpool.commands.integer_files import open_integers, shipped_integers
from rnnpool.errors import InputError
from rnnpool.integer.detector import find_integer_head
from rnnpool.integer.head import SCORE
from rnnpool.target.toolchain import WASM_TOOLS, CompileError, missing_tools
from rnnpool.target.wasm import build_wasm
from rnnpool.web.module import Module, build_module
from rnnpool.web.self_check import check_image
from small_face import noise, register_small_face, small_face_integers

needs_clang = pytest.mark.skipif(missing_tools(WASM_TOOLS) is not None, reason=f"wasm: {missing_tools(WASM_TOOLS)}")


def runner(module: Module) -> WasmNetwork:
    return WasmNetwork(module.wasm, module.network, module.head)


def test_detections(face_module: Module) -> None:
    """The memory is used again for every image, so that none may leave anything behind."""
    ours, head = runner(face_module), face_module.head
    assert head is not None
    counts = set()
    for image in [*noise(6), *noise(1)]:
        outputs = face_module.network.run(image)
        for threshold in (0, 16800, 16900):
            wanted = head.detect(outputs, threshold)
            np.testing.assert_array_equal(ours.run(image, threshold), wanted)
            counts.add(len(wanted))
    assert len(counts) > 5  # thresholds cut


def test_scores(pets_module: Module) -> None:
    ours = runner(pets_module)
    rng = np.random.default_rng(3)
    levels = rng.integers(0, 256, (6, 3, 1, 1))  # of a mean over noise alone nothing is left but noise
    images = (levels + rng.integers(0, 128, (6, *pets_module.network.image.shape))).clip(0, 255).astype(np.uint8)
    found = [ours.run(image).tolist() for image in images]
    assert found == [pets_module.network.run(image)[0].ravel().tolist() for image in images]
    assert len({tuple(scores) for scores in found}) == 6


@needs_clang
@pytest.mark.skipif(shipped_integers("face-tiny") is None, reason="no integers of face-tiny in weights/")
def test_face_tiny_as_shipped() -> None:
    """Which has weights of 4 bits."""
    network = open_integers("face-tiny")
    module = build_module(network, find_integer_head(network))
    image = check_image(network.image.shape, 7)
    assert module.head is not None
    wanted = module.head.detect(network.run(image))
    assert len(wanted) > 50
    np.testing.assert_array_equal(runner(module).run(image), wanted)


def test_a_wrong_threshold_is_a_status(face_module: Module) -> None:
    ours = runner(face_module)
    for threshold in (-1, SCORE + 1):
        assert ours.call("run", threshold) == -6
    assert ours.call("run", SCORE) == 0


def test_networks_of_maps_have_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    register_small_face(monkeypatch)
    with pytest.raises(InputError, match="small-face gives maps; a page shows detections, or the scores of classes"):
        build_module(small_face_integers(), None)


@pytest.mark.parametrize("missing", WASM_TOOLS)
def test_missing_tools_are_named(missing: str, monkeypatch: pytest.MonkeyPatch, pets_module: Module) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == missing else f"/usr/bin/{name}")
    with pytest.raises(InputError, match=f"^{missing} is not installed; on Debian: apt-get install clang lld$"):
        build_module(pets_module.network, None)


@needs_clang
def test_warnings_and_missing_functions_are_errors(tmp_path) -> None:
    source = tmp_path / "a.c"
    for code, words in (
        ("int f(long long a);\nint f(long long a) { return a; }\n", "-Wshorten-64-to-32"),
        ('int g(void);\nint f(void);\n__attribute__((export_name("f"))) int f(void) { return g(); }\n', "undefined"),
    ):
        source.write_text(code)
        with pytest.raises(CompileError, match=words):
            build_wasm([source], tmp_path / "a.wasm")


def test_check_images_differ_and_use_all_levels() -> None:
    first, second = (check_image((3, 40, 50), seed) for seed in (0, 1))
    assert (first != second).mean() > 0.99
    assert len(np.unique(first)) == 256
    assert abs(first.mean() - 127.5) < 3
