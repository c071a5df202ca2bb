"""Detectors of integers, from Python and from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_nets import Classifier, images_of

from made_sets import write_image, write_wider
from rnnpool.cli import main
from rnnpool.commands.quantize_subject import choose_images
from rnnpool.errors import InputError
from rnnpool.integer.convert import convert
from rnnpool.integer.detector import IntDetector
from rnnpool.integer.images import whole_images
from rnnpool.integer.module import IntModule, from_bytes, to_bytes
from rnnpool.integer.storage import load_network, save_network
from rnnpool.models import ModelInfo, create_model, registry, save_weights
from rnnpool.models.detector import Detector
from rnnpool.pipeline import FaceDetector


@pytest.fixture(scope="module")
def face_tiny() -> Detector:
    """With random weights, and batch norms of random images."""
    torch.manual_seed(0)
    model = create_model("face-tiny")
    assert isinstance(model, Detector)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        model(from_bytes(np.stack(images_of((1, 128, 192), 2))))
    for predictor in model.predictors:  # scores that differ from cell to cell
        torch.nn.init.normal_(predictor[1].weight, std=0.4)
    return model.eval()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photos in WIDER FACE's layout, two of them smaller."""
    images = dict(zip("abcde", images_of((1, 120, 160), 5), strict=True))
    names = {f"0--Event/{name}": image[0] for name, image in images.items()}
    names["0--Event/d"], names["0--Event/e"] = names["0--Event/d"][:100], names["0--Event/e"][:, :90]
    return write_wider(tmp_path_factory.mktemp("set"), names, {name: [(20, 20, 40, 50)] for name in names})


@pytest.fixture(scope="module")
def integers(face_tiny: Detector, photos: Path) -> IntDetector:
    images = whole_images(choose_images(photos, 3), 1, (120, 160), 64)
    network = convert(face_tiny, (1, 240, 320), images, method="minmax").network
    return IntDetector(network, face_tiny.head)


def test_predictions_are_close(face_tiny: Detector, integers: IntDetector) -> None:
    image = from_bytes(np.stack(images_of((1, 128, 192), 1, seed=3)))
    with torch.no_grad():
        wanted, found = face_tiny(image), integers(image)
    assert [value.shape for value in found] == [value.shape for value in wanted]
    for a, b in zip(wanted, found, strict=True):
        assert ((a - b).square().mean() / a.square().mean()).sqrt() < 0.25
    # A box for a box: of the best ones the float network finds the same.
    boxes, scores = face_tiny.predict(image, score_threshold=0.1)[0]
    int_boxes, int_scores = integers.predict(image, score_threshold=0.1)[0]
    assert len(boxes) > 3
    near = [(int_boxes - box).abs().max(dim=1).values.min() for box in boxes[:3]]
    assert max(near) < 8
    assert (scores[0] - int_scores[0]).abs() < 0.1


def test_used_wherever_a_detector_is(integers: IntDetector) -> None:
    faces = FaceDetector(integers).detect(images_of((1, 120, 160), 1)[0][0], threshold=0.05)
    assert faces
    assert all(face.x >= 0 and face.x + face.width <= 160.01 for face in faces)
    with pytest.raises(InputError, match=r"takes \(B, 1, H, W\)"):
        integers.predict(torch.zeros(1, 3, 64, 64))
    assert integers.device == torch.device("cpu")


def test_bytes_and_back() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    np.testing.assert_array_equal(to_bytes(from_bytes(every)), every)
    assert to_bytes(torch.tensor([[-9.0, -1.0, 9.0]])).tolist() == [[0, 0, 255]]


def test_files_are_detectors_again(integers: IntDetector, tmp_path: Path) -> None:
    save_network(integers.network, tmp_path / "net.safetensors")
    again = IntDetector.load(tmp_path / "net.safetensors")
    image = from_bytes(np.stack(images_of((1, 64, 128), 1)))
    for a, b in zip(again(image), integers(image), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(again.predict(image)[0].boxes, integers.predict(image)[0].boxes)


@pytest.fixture(scope="module")
def weights(face_tiny: Detector, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "face.safetensors"
    save_weights(face_tiny, path)
    return str(path)


def test_quantize_writes_reports_and_measures(
    weights: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "face-int8.safetensors"
    images = str(photos / "WIDER_val")
    arguments = ["quantize", "face-tiny", "--weights", weights, "--calibrate", images, "--images", "2"]
    assert main([*arguments, "--out", str(out), "--ranges", "minmax", "--state-bits", "8", "--report"]) == 0
    text = capsys.readouterr().out
    network = load_network(out)
    assert network.name == "face-tiny"
    entries = {"weights": "face.safetensors", "images": "2", "ranges": "minmax", "state_bits": "8"}
    assert entries.items() <= network.metadata.items()
    lines = text.splitlines()
    assert sum(line.startswith("stages.") for line in lines) == sum(n.name.startswith("stages.") for n in network.nodes)
    assert any(line.startswith("predictors.3.1") and "int16" in line for line in lines)
    assert "minmax" in text
    assert "(kept)" in text


def test_evaluate_compares_with_float(
    weights: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["quantize", "face-tiny", "--weights", weights, "--calibrate", str(photos), "--images", "1"]
    assert main([*arguments, "--ranges", "mse", "--evaluate", str(photos)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["on", photos.name, "float", "int8", "difference"] in lines
    rows = {line[0]: line[1:] for line in lines if len(line) == 4 and line[0] in ("easy", "medium", "hard")}
    assert set(rows) == {"easy", "medium", "hard"}
    for before, after, difference in rows.values():
        assert float(after) - float(before) == pytest.approx(float(difference), abs=2e-4)
    assert (tmp_path / "face-tiny-int8.safetensors").is_file()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"--calibrate": "nowhere"}, "nowhere: no such file or folder"),
        ({"--images": "0"}, "number of images is 0"),
        ({"--ranges": "best"}, "method is 'best'"),
        ({"--evaluate": "."}, "neither WIDER FACE"),
        ({"--weights": "none.safetensors"}, "no such weights file"),
        ({"--out": "."}, "--out"),
    ],
)
def test_wrong_arguments_are_one_line(
    change: dict[str, str],
    what: str,
    weights: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"--weights": weights, "--calibrate": str(photos), "--images": "1", "--ranges": "minmax"} | change
    assert main(["quantize", "face-tiny", *(part for option in options.items() for part in option)]) == 2
    captured = capsys.readouterr()
    assert what in captured.err
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_classes_must_be_known(photos: Path, capsys: pytest.CaptureFixture) -> None:
    name = "small_nets:Classifier"
    arguments = ["quantize", name, "--input", "3x32x24", "--calibrate", str(photos), "--evaluate", str(photos)]
    assert main(arguments) == 2
    assert "small_nets:Classifier is a Classifier whose classes are not known" in capsys.readouterr().err


def test_photos_have_1_or_3_channels(photos: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["quantize", "small_nets:Flattened", "--input", "2x11x15", "--calibrate", str(photos)]) == 2
    error = capsys.readouterr().err
    assert "small_nets:Flattened takes 2 channels; photos give 1 or 3. rnnpool.integer.convert.convert takes" in error


def test_a_module_of_ones_own(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "net.safetensors"
    arguments = ["quantize", "small_nets:Classifier", "--input", "3x32x24", "--calibrate", str(photos)]
    assert main([*arguments, "--out", str(out)]) == 0
    assert load_network(out).image.shape == (3, 32, 24)
    with pytest.raises(InputError, match="no model named 'Classifier'"):
        IntDetector.load(out)


def test_classifiers_are_seen_as_they_were_trained(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """The weights' file says how many classes, which pixels, and which mean and spread of them."""
    entry = ModelInfo("small", "a small classifier", "classification", (3, 32, 24), Classifier)
    monkeypatch.setitem(registry._REGISTRY, "small", entry)
    torch.manual_seed(3)
    model = create_model("small", num_classes=4, in_channels=1).eval()
    mean, std = 60.0, 90.0
    entries = {
        "model_options": {"num_classes": 4, "in_channels": 1},
        "classes": ["a", "b", "c", "d"],
        "view": {"channels": 1, "size": 40, "test_crop": 1.0, "mean": [mean], "std": [std]},
    }
    path, out = tmp_path / "net.safetensors", tmp_path / "int.safetensors"
    save_weights(model, path, {key: json.dumps(value) for key, value in entries.items()})
    arguments = ["quantize", "small", "--weights", str(path), "--calibrate", str(photos), "--out", str(out)]
    assert main([*arguments, "--evaluate", str(_pictures(tmp_path / "set"))]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    (top1,) = (row for row in rows if row and row[0] == "top1")
    assert [float(value) for value in top1[1:]] == [0.25, 0.25, 0.0]  # every class has the same pictures
    network = load_network(out)
    assert network.name == "small"
    assert network.image.shape == (1, 40, 40)
    images = np.stack([image[:, :40, :40] for image in images_of((1, 120, 160), 12)])
    with torch.no_grad():
        wanted = model((torch.from_numpy(images).float() - mean) / std)
    found = IntModule(network)(from_bytes(images))
    assert found.shape == wanted.shape == (12, 4)
    error = (found - wanted).square().sum() / (wanted - wanted.mean(dim=0)).square().sum()
    assert error < 0.1


def _pictures(root: Path) -> Path:
    """A set of four classes with the same pictures in each."""
    for name in "abcd":
        for number, image in enumerate(images_of((1, 60, 60), 2)):
            write_image(root / "val" / name / f"{number}.png", image[0])
    return root


def test_images_are_spread_over_the_folder(tmp_path: Path) -> None:
    for i in range(9):
        write_image(tmp_path / f"{i}.png", np.zeros((4, 4), np.uint8))
    chosen = [int(path.stem) for path in choose_images(tmp_path, 3)]
    assert chosen == [1, 4, 7]
    assert [int(path.stem) for path in choose_images(tmp_path, 50)] == list(range(9))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images in this folder"):
        choose_images(tmp_path / "empty", 3)
