"""``rnnpool classify`` and ``rnnpool.Classifier``: the shipped network, one's own, and what cannot be read."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from rnnpool import Classifier
from rnnpool.cli import main
from rnnpool.errors import InputError
from rnnpool.models import create_model
from rnnpool.models.weights import read_weights, save_weights

ABOUT = {
    "classes": '["dark", "bright"]',
    "view": '{"channels": 3, "size": 96, "test_crop": 0.5, "mean": [128.0], "std": [64.0]}',
    "model_options": "{}",
}


@pytest.fixture
def brightness(tmp_path):
    """A network that says by the mean of its input alone whether it is bright."""
    model = create_model("mlperf_vww")
    *body, weight, _ = model.parameters()
    with torch.no_grad():
        for parameter in body:
            parameter.abs_()
        weight.copy_(torch.tensor([[-1.0], [1.0]]).expand_as(weight))
    path = tmp_path / "brightness.safetensors"
    save_weights(model, path, ABOUT)
    return path


def test_a_person_and_none(tmp_path, capsys):
    """The portrait that matplotlib ships, and a grey wall."""
    from matplotlib import cbook

    portrait = cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    Image.fromarray(np.full((200, 300, 3), 90, np.uint8)).save(tmp_path / "grey.png")
    assert main(["classify", str(portrait), str(tmp_path / "grey.png"), "--json", "-"]) == 0
    person, none = json.loads(capsys.readouterr().out)
    assert next(iter(person["classes"])) == "person"
    assert person["classes"]["person"] > 0.8
    assert next(iter(none["classes"])) == "no_person"
    assert sum(none["classes"].values()) == pytest.approx(1, abs=1e-3)


def test_the_centre_is_looked_at_as_training_says(brightness, tmp_path, capsys):
    """A share of 0.5 of the shorter side: a frame of another brightness does not matter."""
    picture = np.zeros((120, 200, 3), np.uint8)
    picture[30:90, 70:130] = 255
    Image.fromarray(picture).save(tmp_path / "framed.png")
    plain = np.full((60, 60, 3), 255, np.uint8)
    Image.fromarray(np.pad(plain, ((30, 30), (30, 30), (0, 0)), mode="edge")).save(tmp_path / "plain.png")
    classifier = Classifier.from_file(brightness)
    framed, whole = (dict(classifier.classify(tmp_path / f"{name}.png")) for name in ("framed", "plain"))
    assert framed == pytest.approx(whole, abs=1e-3)
    assert main(["classify", str(tmp_path / "framed.png"), "--weights", str(brightness), "--top", "2"]) == 0
    line = capsys.readouterr().out
    assert line.count(",") == 1
    assert "dark 0." in line or "dark 1." in line


def test_pictures_that_cannot_be_read_are_named(brightness, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    Image.new("L", (40, 40), 3).save(tmp_path / "good.png")
    command = ["classify", "--weights", str(brightness)]
    assert main([*command, str(tmp_path / "broken.png"), str(tmp_path / "good.png")]) == 1
    captured = capsys.readouterr()
    assert "broken.png" in captured.err
    assert "good.png: " in captured.out
    assert main([*command, str(tmp_path / "broken.png")]) == 2


@pytest.mark.parametrize("left_out", ["classes", "view"])
def test_weights_that_do_not_say_what_they_mean(brightness, tmp_path, left_out):
    metadata = {key: value for key, value in read_weights(brightness)[1].items() if key not in (left_out, "model")}
    save_weights(create_model("mlperf_vww"), tmp_path / "mute.safetensors", metadata)
    with pytest.raises(InputError, match="what its classes are"):
        Classifier.from_file(tmp_path / "mute.safetensors")


def test_a_detector_is_no_classifier():
    with pytest.raises(InputError, match="vww-rnnpool"):
        Classifier.from_name("face-tiny")
