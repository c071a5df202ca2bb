"""``rnnpool profile``."""

import json
from pathlib import Path

import pytest

from rnnpool.cli import main
from rnnpool.models import create_model


def test_a_registered_network(capsys: pytest.CaptureFixture) -> None:
    assert main(["profile", "face-tiny"]) == 0
    out = capsys.readouterr().out
    parameters = sum(p.numel() for p in create_model("face-tiny").parameters())
    assert f"{parameters:,}" in out
    assert "stages.0.1.rnnpool" in out
    assert out.count("<- peak") >= 1
    for line in ("multiply-adds", "largest map", "standard", "layer by layer", "rows", "bound for rows"):
        assert line in out


def test_json_adds_up(capsys: pytest.CaptureFixture) -> None:
    assert main(["profile", "mlperf_vww", "--dtype", "int8", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["input"] == [3, 96, 96]
    assert sum(layer["parameters"] for layer in result["layers"]) == result["parameters"]
    assert sum(layer["madds"]["shared"] for layer in result["layers"]) == result["madds"]["shared"]
    peaks = result["peak_bytes"]
    assert result["bound"]["bytes"] <= peaks["rows"] <= peaks["layer_by_layer"]
    ends = [max(b["offsets"]) + b["bytes"] // len(b["offsets"]) for b in result["buffers"]]
    assert max(ends) == peaks["rows"]
    assert max(phase["bytes"] for phase in result["phases"]) == peaks["rows"]


def test_types_scale_the_memory(capsys: pytest.CaptureFixture) -> None:
    peaks = {}
    for dtype in ("int8", "float32"):
        assert main(["profile", "face-m4", "--dtype", dtype, "--json"]) == 0
        peaks[dtype] = json.loads(capsys.readouterr().out)["peak_bytes"]
    assert peaks["float32"] == {key: 4 * value for key, value in peaks["int8"].items()}
    assert main(["profile", "face-m4", "--state-dtype", "int16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["peak_bytes"]["rows"] > peaks["int8"]["rows"]


def test_a_network_of_ones_own_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "own_nets_for_profile.py").write_text(
        "from torch import nn\n\n\n"
        "def build():\n    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    picture = tmp_path / "memory.png"
    name = "own_nets_for_profile:build"
    assert main(["profile", name, "--input", "1x12x10", "--plot", str(picture)]) == 0
    assert "conv 3x3, relu" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["profile", name]) == 2
    assert "--input" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["face-tiny", "--input", "240x320"], "'240x320'"),
        (["face-tiny", "--input", "3x240x320"], "1 channels"),
        (["face-tiny", "--dtype", "int3"], "'int3'"),
        (["face-tiny", "--plot", "memory.jpeg"], ".png"),
        (["face-tinny"], "did you mean"),
        (["no_such_module_here:build", "--input", "3x8x8"], "no_such_module_here"),
    ],
)
def test_mistakes_are_named(arguments: list[str], words: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["profile", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
