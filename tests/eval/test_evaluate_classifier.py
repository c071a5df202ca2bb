"""``rnnpool evaluate`` on pictures: a classifier whose every answer is known."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from made_pictures import write_pictures
from rnnpool.cli import main
from rnnpool.models import save_weights
from rnnpool.models.registry import _REGISTRY, ModelInfo
from rnnpool.models.weights import read_weights

CLASSES = ["blue", "green", "red"]


class MeanColour(nn.Module):
    """Logits are the mean blue, green and red."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.scale * x.mean(dim=(2, 3)).flip(1)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.setitem(_REGISTRY, "mean-colour", ModelInfo("mean-colour", "", "classification", None, MeanColour))
    model = MeanColour()
    model.registry_name = "mean-colour"
    view = {"channels": 3, "size": 8, "test_crop": 1.0, "mean": [128], "std": [128]}
    recipe = {"data": {"folder": "pictures", "val_share": 0.25, "split_seed": 3}}
    metadata = {"classes": CLASSES, "model_options": {}, "view": view, "recipe": recipe}
    save_weights(model, tmp_path / "w.safetensors", {key: json.dumps(value) for key, value in metadata.items()})
    return tmp_path / "w.safetensors"


@pytest.fixture
def pictures(tmp_path):
    root = tmp_path / "pictures"
    write_pictures(root / "val", {"red": 4, "green": 3, "blue": 2})
    Image.fromarray(np.full((9, 9, 3), (0, 0, 255), np.uint8)).save(root / "val" / "red" / "blue in fact.png")
    return root


def test_figures_and_picture(weights, pictures, tmp_path, capsys):
    out, figures = tmp_path / "out", tmp_path / "figures.json"
    arguments = ["evaluate", "--weights", str(weights), "--data", str(pictures)]
    assert main([*arguments, "--out", str(out), "--json", str(figures)]) == 0
    entry = json.loads(figures.read_text())
    assert entry["images"] == 10
    assert entry["top1"] == 0.9  # without the tail of a 32-bit number
    assert entry["confusion"] == [[2, 0, 0], [0, 3, 0], [1, 0, 4]]
    with Image.open(out / "confusion.png") as image:
        assert min(image.size) > 300
    table = capsys.readouterr().out
    assert "mean-colour on pictures, val" in table
    assert "80.0%  blue (1)" in table
    assert main(["shards", str(pictures), str(tmp_path / "shards")]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--weights", str(weights), "--data", str(tmp_path / "shards"), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["confusion"] == entry["confusion"]
    # The folder above it, by the recipe's own name for it.
    assert main(["evaluate", "--weights", str(weights), "--data", str(pictures.parent), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["top1"] == pytest.approx(0.9)


def test_one_folder_of_classes_is_split_as_in_training(weights, pictures, tmp_path, capsys):
    (pictures / "val").rename(tmp_path / "above")
    (tmp_path / "above").rename(pictures / "pictures")  # the recipe's name for it
    for folder in (pictures / "pictures", pictures):
        assert main(["evaluate", "--weights", str(weights), "--data", str(folder), "--json", "-"]) == 0
        entry = json.loads(capsys.readouterr().out)
        assert entry["images"] == 3  # a quarter of each class, at least one
        assert "25% that training held out (split_seed 3)" in entry["split"]


def test_the_part_that_training_evaluated_on(weights, pictures, capsys):
    """A recipe may call it otherwise (data.val)."""
    tensors, metadata = read_weights(weights)
    metadata["recipe"] = json.dumps({"data": {"val": "check"}})
    save_file(tensors, weights, metadata)
    (pictures / "val").rename(pictures / "check")
    assert main(["evaluate", "--weights", str(weights), "--data", str(pictures), "--json", "-"]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert (entry["split"], entry["images"]) == ("check", 10)


def test_what_is_refused(weights, pictures, tmp_path, capsys):
    arguments = ["evaluate", "--weights", str(weights), "--data", str(pictures)]
    assert main([*arguments, "--split", "test"]) == 2
    assert main([*arguments, "--area", "3x4"]) == 2
    assert main([*arguments, "--split-seed", "4"]) == 2
    (pictures / "val" / "red").rename(pictures / "val" / "scarlet")
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert f"--data {pictures}: no folder 'test' in it" in errors
    assert "--area is for detectors" in errors
    assert "--split-seed is for SCUT-HEAD" in errors
    assert "class 'scarlet' is none of the 3 known: blue, green, red" in errors
    plain = tmp_path / "plain.safetensors"
    model = MeanColour()
    model.registry_name = "mean-colour"
    save_weights(model, plain)
    assert main(["evaluate", "--weights", str(plain), "--data", str(pictures)]) == 2
    assert "does not say what its classes are" in capsys.readouterr().err
