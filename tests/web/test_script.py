"""The page's script, in node: it prepares photos and reads results as the command line does."""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rnnpool.commands.firmware import fit
from rnnpool.integer.head import SCORE
from rnnpool.integer.images import centre_crops
from rnnpool.web.module import Module
from rnnpool.web.self_check import check_image

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed (apt-get install nodejs)")
RUNNER = Path(__file__).with_name("run_script.js")


def in_node(page: Path, code: str, given: Any = None) -> Any:
    """What the body of a function returns among the functions of a page's script."""
    words = [str(NODE), str(RUNNER), str(page / "page.js"), code]
    done = subprocess.run(words, input=json.dumps(given), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rgba(image: Image.Image) -> dict[str, Any]:
    """As a canvas gives it, for ``RGBA`` to take apart."""
    pixels = np.asarray(image.convert("RGBA"))
    return {"width": image.width, "height": image.height, "rgba": base64.b64encode(pixels.tobytes()).decode()}


RGBA = "const rgba = new Uint8ClampedArray(decodeBase64(given.rgba)); "


def noisy_photo(seed: int, width: int, height: int) -> Image.Image:
    """Noise on large patches, so that neither details nor levels are missing."""
    rng = np.random.default_rng(seed)
    patches = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((-(-height // 4), -(-width // 4), 1)))[:height, :width]
    return Image.fromarray((patches + rng.integers(-60, 60, patches.shape)).clip(0, 255).astype(np.uint8))


# Shrunk by whole and by other factors, as it is, grown, and nothing but an edge.
SIZES = [(640, 480), (131, 97), (97, 131), (64, 48), (50, 99), (1000, 7), (31, 20), (1, 1)]
# Pillow 13 shrinks these down first and then across, which rounds otherwise (its pull request 9549).
TALL = [(100, 299), (100, 333), (2, 300)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES + TALL, ids=str)
def test_photos_are_fitted_as_rnnpool_firmware_does(size: tuple[int, int], channels: int, face_page: Path) -> None:
    photo = noisy_photo(len(SIZES), *size)
    wanted, scale = fit(photo, (channels, 48, 64))
    code = f"{RGBA} const seen = viewOf(rgba, given.width, given.height, {{...NETWORK, channels: {channels}}});"
    found = in_node(face_page, code + "return [Array.from(seen.pixels), seen.scale]", rgba(photo))
    pixels = np.reshape(found[0], (48, 64, channels)).transpose(2, 0, 1)
    assert np.abs(pixels - wanted.astype(int)).max() <= (size in TALL)
    assert found[1] == scale


@pytest.mark.parametrize("size", [(640, 480), (131, 97), (97, 131), (50, 40), (31, 20)], ids=str)
def test_the_middle_is_cut_out_as_for_classifiers(size: tuple[int, int], pets_page: Path, tmp_path: Path) -> None:
    """To a grey level: torchvision rounds its filter's weights otherwise."""
    photo = noisy_photo(3, *size)
    photo.save(tmp_path / "photo.png")
    (wanted,) = centre_crops([tmp_path / "photo.png"], 3, (32, 40), 0.8)
    code = f"{RGBA} return Array.from(viewOf(rgba, given.width, given.height, NETWORK).pixels)"
    found = np.reshape(in_node(pets_page, code, rgba(photo)), (32, 40, 3)).transpose(2, 0, 1)
    assert np.abs(found - wanted.astype(int)).max() <= 1
    assert (found == wanted).mean() > 0.9


def test_faces_are_in_pixels_of_the_photo(face_module: Module, face_page: Path) -> None:
    """From a photo to its faces, module and all, beside the command line's way with the simulator."""
    photo, threshold = noisy_photo(5, 200, 40), 0.5125
    code = f"""{RGBA}
        const seen = viewOf(rgba, given.width, given.height, NETWORK);
        const run = await loadNetwork(NETWORK);
        return toFaces(run(seen.pixels, {threshold}), NETWORK, seen.scale, given.width, given.height)"""
    found = [[*face.values()] for face in in_node(face_page, code, rgba(photo))]

    pixels, scale = fit(photo, (1, 48, 64))
    assert face_module.head is not None
    detections = face_module.head.detect(face_module.network.run(pixels), round(threshold * SCORE))
    corners = np.clip(detections[:, :4] / (16 * scale), 0, [200, 40, 200, 40])
    boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2], detections[:, 4:] / SCORE])
    inside = (boxes[:, 2:4] > 0).all(1)
    assert 3 < inside.sum() < len(inside)  # the grey beside the photo has faces of its own
    np.testing.assert_allclose(found, boxes[inside], rtol=1e-12, atol=1e-12)


def test_classes_by_probability(pets_module: Module, pets_page: Path) -> None:
    network = pets_module.network
    image = check_image(network.image.shape, 5)
    code = """const pixels = checkImage(given, 5);
        return toClasses((await loadNetwork(NETWORK))(pixels, 0), NETWORK)"""
    found = {guess["label"]: guess["probability"] for guess in in_node(pets_page, code, image.size)}
    (real,) = network.real_outputs(network.run(image))
    wanted = np.exp(real) / np.exp(real).sum()
    np.testing.assert_allclose([found[name] for name in ("cat", "<b>dog</b>", "no_pet")], wanted, rtol=1e-9)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_check_images_are_the_simulators(face_page: Path) -> None:
    for seed in (0, 1, 9):
        found = in_node(face_page, "return Array.from(checkImage(given[0], given[1]))", [3 * 40 * 50, seed])
        wanted = check_image((3, 40, 50), seed).transpose(1, 2, 0)
        np.testing.assert_array_equal(np.reshape(found, wanted.shape), wanted)


@pytest.mark.parametrize("page", ["face_page", "pets_page"])
def test_a_page_compares_itself_with_the_simulator(page: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(page)
    counted = in_node(folder, "return checkNetwork(await loadNetwork(NETWORK), NETWORK)")
    assert counted == in_node(folder, "return NETWORK.check.flat().length") > 20
    tampered = """const run = await loadNetwork(NETWORK);
        const words = [];
        for (const change of [(n) => n.fill(n[3] ^ 1, 3, 4), (n) => n.subarray(1), (n) => n]) {
            const other = (pixels, threshold) => change(run(pixels, threshold));
            try { checkNetwork(other, NETWORK); words.push("equal"); } catch (error) { words.push(error.message); }
        }
        return words"""
    if page == "pets_page":
        tampered = tampered.replace("[3]", "[1]").replace("3, 4", "1, 2")
    wrong, shifted, equal = in_node(folder, tampered)
    assert wrong == f"number {3 if page == 'face_page' else 1} of test image 0 is not the simulator's"
    assert shifted.startswith("number 0 of test image 0")
    assert equal == "equal"


def test_halves_are_rounded_as_in_python(face_page: Path) -> None:
    values = [x / 4 for x in range(-9, 20)]
    assert in_node(face_page, "return given.map(roundHalfEven)", values) == [round(value) for value in values]
