"""``rnnpool demo``, and what the shipped weights see in its photos."""

import re
from pathlib import Path

import pytest
from PIL import Image

from rnnpool.cli import main
from rnnpool.commands import demo
from rnnpool.models import create_model
from rnnpool.models.weights import find_shipped_weights
from rnnpool.pipeline import Face, FaceDetector

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

# Forehead to chin, marked by hand: x, y, width, height in pixels of the photo.
FACES = {"grace_hopper": (176, 132, 182, 202), "astronaut": (178, 66, 96, 122)}


def overlap(face: Face, box: tuple[int, int, int, int]) -> float:
    """Intersection over union."""
    x, y, width, height = box
    across = min(face.x + face.width, x + width) - max(face.x, x)
    down = min(face.y + face.height, y + height) - max(face.y, y)
    both = max(across, 0) * max(down, 0)
    return both / (face.width * face.height + width * height - both)


@pytest.mark.skipif(find_shipped_weights("face-tiny") is None, reason="no weights of face-tiny in weights/")
@pytest.mark.parametrize("name", demo.PHOTOS)
def test_the_shipped_weights_find_the_one_face(name: str) -> None:
    faces = FaceDetector.from_name("face-tiny").detect(demo.photo_path(name))
    assert len(faces) == 1, faces
    assert overlap(faces[0], FACES[name]) > 0.5, faces


@pytest.mark.skipif(find_shipped_weights("face-tiny") is None, reason="no weights of face-tiny in weights/")
def test_the_demo_prints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["demo", "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "\nface-tiny on 320x240 grey: 153,996 parameters" in out
    for name, suffix in (("grace_hopper", "jpg"), ("astronaut", "png")):
        copy = tmp_path / "out" / f"{name}.png"
        assert re.search(rf"^{name}\.{suffix}: 1 face -> {re.escape(str(copy))}$", out, re.MULTILINE)
        with Image.open(copy) as picture, Image.open(demo.photo_path(name)) as photo:
            assert picture.size == photo.size


def test_a_missing_photo_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setitem(demo.PHOTOS, "astronaut", ("no_such_package", "data/astronaut.png"))
    assert main(["demo"]) == 2
    assert 'of package no_such_package: pip install "rnnpool[demo]"' in capsys.readouterr().err


def test_what_a_network_costs() -> None:
    model = create_model("face-tiny")
    parameters = sum(p.numel() for p in model.parameters())
    line = demo.cost_line("face-tiny", model)
    found = re.fullmatch(
        rf"face-tiny on 320x240 grey: {parameters:,} parameters, ([\d.]+)M multiply-adds, "
        r"largest map 160x120x8 \(153,600 numbers\)",
        line,
    )
    assert found, line
    # Two 1x1 convolutions of the first stage alone make 39M; less than 100M in all is what the network promises.
    assert 2 * 2 * 40 * 30 * 64 * 128 / 1e6 < float(found[1]) < 100
