"""A user's own pictures, from folders to the microcontroller, by the commands of the guides."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from made_pictures import write_pictures
from rnnpool.cli import main
from rnnpool.compile import engine
from rnnpool.integer.storage import load_network
from rnnpool.target.toolchain import missing_tools

SMALL = ["train.images=160", "train.batch_size=8", "data.size=32", "train.workers=0", "train.threads=1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    write_pictures(root / "pictures", {"red": 14, "green": 10, "blue": 12}, suffixes=(".png", ".webp"))
    command = ["train", "pictures", "--data", str(root / "pictures"), "--out", str(root / "run"), *SMALL]
    assert main([*command, "train.evaluate_every=0", "train.lr=0.01"]) == 0
    return root


def test_training_says_which_classes_it_found(trained, capsys):
    command = ["train", "pictures", "--data", str(trained / "pictures"), "--out", str(trained / "run"), *SMALL]
    assert main([*command, "train.evaluate_every=0", "train.lr=0.01", "--resume"]) == 0
    assert "3 classes, pictures to train + to evaluate on: blue 10 + 2, green 8 + 2, red 11 + 3\n" in (
        capsys.readouterr().out
    )


def test_evaluation_tells_one_class_from_another(trained, tmp_path, capsys):
    weights = str(trained / "run" / "best.safetensors")
    command = ["evaluate", "--data", str(trained / "pictures"), "--weights", weights, "--out", str(tmp_path)]
    assert main([*command, "--json", str(tmp_path / "figures.json")]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    confusion = np.array(figures["confusion"])
    assert figures["classes"] == ["blue", "green", "red"]
    assert confusion.sum(axis=1).tolist() == [2, 2, 3]  # a fifth of each class
    assert figures["top1"] == pytest.approx(np.trace(confusion) / confusion.sum())
    with Image.open(tmp_path / "confusion.png") as image:
        assert min(image.size) > 400
    assert "the 20% that training held out" in capsys.readouterr().out


def test_pictures_that_have_changed_since(trained, tmp_path, capsys):
    """Packed as shards they are the same; with one more, some of the measured may have been trained on."""
    weights, data = trained / "run" / "best.safetensors", tmp_path / "pictures"
    shutil.copytree(trained / "pictures", data)
    assert main(["shards", str(data), str(tmp_path / "shards")]) == 0
    capsys.readouterr()
    figures = []
    for folder in (data, tmp_path / "shards"):
        assert main(["evaluate", "--data", str(folder), "--weights", str(weights), "--json", "-"]) == 0
        told = capsys.readouterr()
        assert "other pictures" not in told.err
        figures.append(json.loads(told.out)["confusion"])
    assert figures[0] == figures[1]
    Image.new("RGB", (30, 30), (200, 0, 0)).save(data / "red" / "another.png")
    assert main(["evaluate", "--data", str(data), "--weights", str(weights)]) == 0
    assert "other pictures than the weights were trained on" in capsys.readouterr().err
    (data / "red").rename(data / "scarlet")
    command = ["train", "pictures", "--data", str(data), "--out", str(trained / "run"), *SMALL, "--resume"]
    assert main([*command, "train.evaluate_every=0", "train.lr=0.01"]) == 2
    assert "classes or samples were added, removed or renamed since" in capsys.readouterr().err


def test_quantize_takes_the_network_from_its_weights_and_the_others_refuse_integers(trained, tmp_path, capsys):
    data, weights = str(trained / "pictures"), str(trained / "run" / "best.safetensors")
    command = ["quantize", "--calibrate", data, "--images", "4", "--ranges", "minmax"]
    integers = str(tmp_path / "mine.safetensors")
    assert main([*command, "--weights", weights, "--out", integers]) == 0
    assert load_network(integers).name == "mobilenet_v2_035-rnnpool"
    capsys.readouterr()

    def refused(*words):
        assert main([*words]) == 2
        return capsys.readouterr().err

    assert "give a MODEL, or --weights FILE" in refused(*command)
    for words in (["evaluate", "--data", data], ["classify", data], [*command], [*command, "vww-rnnpool"]):
        assert "holds the integers of rnnpool quantize" in refused(*words, "--weights", integers)
    # Before the options of its network are tried on another.
    owner = "holds weights of model 'mobilenet_v2_035-rnnpool', not of 'mobilenet_v2'"
    assert owner in refused(*command, "mobilenet_v2", "--weights", weights)
    assert owner in refused("classify", data, "--model", "mobilenet_v2", "--weights", weights)


@pytest.mark.skipif(missing_tools(["gcc"]) is not None, reason=f"host C: {missing_tools(['gcc'])}")
def test_integers_classify_and_are_measured(trained, tmp_path, monkeypatch, capsys):
    """By the simulator and by their C alike, on the pictures that training held out, which their file remembers."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(engine, "_FLAGS", ("-O1",))  # compiles twice as fast
    data, weights = str(trained / "pictures"), str(trained / "run" / "best.safetensors")
    integers, out = str(tmp_path / "mine.safetensors"), tmp_path / "out.json"
    command = ["quantize", "--weights", weights, "--out", integers, "--calibrate", data, "--images", "8"]
    assert main([*command, "--ranges", "minmax", "--evaluate", data]) == 0
    measured = re.search(r"^top1 +[\d.]+ +([\d.]+)", capsys.readouterr().out, re.MULTILINE)
    classes, figures = {}, {}
    for kind, file in (("float", weights), ("int", integers), ("c", integers)):
        words = ["--weights", file, "--engine", kind, "--json", str(out)]
        assert main(["classify", data, *words]) == 0
        classes[kind] = json.loads(out.read_text())
        assert main(["evaluate", "--data", data, *words]) == 0
        figures[kind] = json.loads(out.read_text())
    assert capsys.readouterr().err.count("compiling mobilenet_v2_035-rnnpool for 32x32 images, once") == 1
    assert classes["int"] == classes["c"] != classes["float"]
    for ours, exact in zip(classes["int"], classes["float"], strict=True):
        assert ours["classes"] == pytest.approx(exact["classes"], abs=0.1)
    assert figures["int"]["confusion"] == figures["c"]["confusion"]
    assert figures["c"]["engine"] == "c"
    assert figures["c"]["split"] == "the 20% that training held out (split_seed 0)"
    assert measured is not None
    assert figures["int"]["top1"] == pytest.approx(float(measured[1]), abs=1e-4)
    assert main(["evaluate", "--data", data, "--weights", integers, "--engine", "c", "--device", "cuda"]) == 2
    assert "--device cuda: integers are computed by the processor" in capsys.readouterr().err


@pytest.mark.skipif(missing_tools() is not None, reason=f"firmware: {missing_tools()}")
def test_to_the_chip_with_the_names_of_the_classes(trained, tmp_path, capsys):
    """The chip sees the middle of a picture, as evaluation does: what is at its border must not matter."""
    weights, out = str(trained / "run" / "best.safetensors"), str(tmp_path / "mine.safetensors")
    command = ["quantize", "mobilenet_v2_035-rnnpool", "--weights", weights, "--out", out]
    assert main([*command, "--calibrate", str(trained / "pictures"), "--images", "8", "--ranges", "minmax"]) == 0
    assert json.loads(load_network(out).metadata["classes"]) == ["blue", "green", "red"]
    inner = np.random.default_rng(3).integers(0, 256, (80, 80, 3)).astype(np.uint8)
    for name, border in (("plain", 0), ("framed", 255)):
        wide = np.full((80, 240, 3), border, np.uint8)
        wide[:, 80:160] = inner
        Image.fromarray(wide).save(tmp_path / f"{name}.png")
    capsys.readouterr()
    assert main(["firmware", out, str(tmp_path / "plain.png"), str(tmp_path / "framed.png")]) == 0
    said = capsys.readouterr().out
    assert said.count("bit for bit the simulator") == 2
    scores = re.findall(r"^  (blue|green|red)  (-?[\d.]+)$", said, re.MULTILINE)
    assert len(scores) == 6
    assert scores[:3] == scores[3:]
    assert [float(score) for _, score in scores[:3]] == sorted((float(s) for _, s in scores[:3]), reverse=True)
