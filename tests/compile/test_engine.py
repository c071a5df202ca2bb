"""The C engine finds the very boxes of the integer one, at any image size, and keeps what it compiles."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from rnnpool.cli import main
from rnnpool.compile import engine
from rnnpool.compile.engine import CDetector
from rnnpool.errors import InputError
from rnnpool.integer.detector import IntDetector
from rnnpool.integer.module import from_bytes
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.storage import save_network
from rnnpool.models import create_model, save_weights
from rnnpool.models.weights import find_shipped_weights
from rnnpool.target.toolchain import missing_tools
from small_face import noise, register_small_face, small_face_integers

pytestmark = pytest.mark.skipif(missing_tools(["gcc"]) is not None, reason=f"host C: {missing_tools(['gcc'])}")


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> IntNetwork:
    """Integers of a registered detector; libraries are kept in ``tmp_path``."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(engine, "_FLAGS", ("-O1",))  # compiles twice as fast
    register_small_face(monkeypatch)
    return small_face_integers()


def libraries(tmp_path: Path) -> list[str]:
    return sorted(path.name[: path.name.rindex("-")] for path in (tmp_path / "cache" / "rnnpool").iterdir())


def test_the_same_boxes_at_every_size(network: IntNetwork, tmp_path: Path) -> None:
    told: list[str] = []
    compiled, integers = CDetector.of_registry(network), IntDetector.of_registry(network)
    compiled.engine.notify = told.append
    for size in ((48, 64), (64, 48)):
        images = from_bytes(noise(2, *size))
        for ours, wanted in zip(compiled.predict(images), integers.predict(images), strict=True):
            assert len(wanted.scores) > 5
            assert torch.equal(ours.boxes, wanted.boxes)
            assert torch.equal(ours.scores, wanted.scores)
    assert told == [f"compiling small-face for {size} images, once" for size in ("64x48", "48x64")]
    assert libraries(tmp_path) == ["detector-48x64", "detector-64x48"]

    again = CDetector.of_registry(network)
    again.engine.notify = told.append
    assert len(again.predict(from_bytes(noise(1)))[0].scores) > 5
    assert len(told) == 2  # from the cache
    with pytest.raises(InputError, match="the C engine has its own overlap threshold"):
        again.predict(from_bytes(noise(1)), iou_threshold=0.6)


def test_a_library_belongs_to_its_integers_and_its_size(network: IntNetwork) -> None:
    other = small_face_integers(seed=6)
    keys = [engine._key(made) for made in (network, other, engine.sized(network, (1, 48, 64)))]
    assert keys[0] == keys[2] != keys[1]
    assert engine._key(engine.sized(network, (1, 64, 48))) != keys[0]


def test_without_a_cache_it_is_built_for_the_process(network: IntNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert len(CDetector.of_registry(network).predict(from_bytes(noise(1)))[0].scores) > 5


def test_without_a_compiler_it_says_what_to_install(network: IntNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InputError, match="gcc is not installed; on Debian: apt-get install gcc libc6-dev"):
        CDetector.of_registry(network).predict(from_bytes(noise(1)))


def test_the_verb(
    network: IntNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    save_network(network, "small.safetensors")
    Image.fromarray(noise(1, 60, 90)[0][0]).save("a.png")
    Image.fromarray(noise(2, 100, 50)[0][0]).save("b.png")
    arguments = ["detect", "a.png", "b.png", "--weights", "small.safetensors", "--threshold", "0.3", "--json"]
    assert main([*arguments, "int.json", "--engine", "int"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*arguments, "c.json", "--engine", "c"]) == 0
    assert capsys.readouterr().err.count("rnnpool: compiling small-face for") == 2
    assert Path("int.json").read_text() == Path("c.json").read_text()
    assert min(len(entry["faces"]) for entry in json.loads(Path("c.json").read_text())) > 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "small.safetensors", "--model", "face-tiny"], "holds integers of model 'small-face', not of"),
        (["--model", "small-face"], "no integers of 'small-face' are shipped; rnnpool quantize small-face makes them"),
        (["--weights", "float.safetensors"], "float.safetensors: holds no integer network; rnnpool quantize makes one"),
        (["--weights", "none.safetensors"], "none.safetensors: there is no such file of an integer network"),
    ],
)
@pytest.mark.parametrize("kind", ["int", "c"])
def test_wrong_weights(
    network: IntNetwork,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    kind: str,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    save_network(network, "small.safetensors")
    save_weights(create_model("small-face"), "float.safetensors")
    Image.fromarray(noise(1)[0][0]).save("a.png")
    assert main(["detect", "a.png", "--engine", kind, *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(find_shipped_weights("face-tiny-int8") is None, reason="no integers of face-tiny in weights/")
def test_the_shipped_integers_find_a_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    photo = Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg"
    assert main(["detect", str(photo), "--engine", "int", "--json", "faces.json"]) == 0
    ((face,),) = (entry["faces"] for entry in json.loads(Path("faces.json").read_text()))
    assert face["score"] > 0.6
    assert abs(face["x"] + face["width"] / 2 - 265) < 15
    assert abs(face["y"] + face["height"] / 2 - 235) < 20
