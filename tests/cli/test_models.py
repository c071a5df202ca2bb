"""``rnnpool models``."""

import pytest

from rnnpool.cli import main
from rnnpool.models import create_model, list_models, model_info
from rnnpool.models.weights import find_shipped_weights


def test_every_network_has_a_line_and_detectors_come_first(capsys: pytest.CaptureFixture) -> None:
    pattern = "[ef]*-[qr]*"
    assert main(["models", pattern]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "task", "input", "parameters", "weights", "summary"]
    names = list_models(pattern)
    detectors = [name for name in names if name.startswith("face-")]
    others = [name for name in names if not name.startswith("face-")]
    assert detectors
    assert others
    assert [line.split()[0] for line in lines] == detectors + others
    for line in lines:
        name = line.split()[0]
        assert model_info(name).summary in line, name
        assert f" {'yes' if find_shipped_weights(name) else 'no'} " in line, name


def test_the_numbers_of_one(capsys: pytest.CaptureFixture) -> None:
    assert main(["models", "face-tin?"]) == 0
    _, line = capsys.readouterr().out.splitlines()
    parameters = sum(p.numel() for p in create_model("face-tiny").parameters())
    assert line.split()[:5] == ["face-tiny", "detection", "320x240", "grey", f"{parameters:,}"]


def test_no_match(capsys: pytest.CaptureFixture) -> None:
    assert main(["models", "nothing-*"]) == 2
    assert "no model fits 'nothing-*'" in capsys.readouterr().err
