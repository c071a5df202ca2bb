"""What rows cost on the emulated chip, in the report; what has no network or no toolchain is said."""

import json

import pytest

from rnnpool.cli import main
from rnnpool.experiments import chip
from rnnpool.target.toolchain import missing_tools

STEMS = """
title: Two stems
recipe: face-tiny
metrics: {medium: AP medium}
reference: rnnpool
rows:
  rnnpool:
    label: RNNPool
    changes: {model.name: face-tiny, model.options: {input_size: [48, 64]}}
  strided:
    label: strided
    changes: {model.name: face-tiny-strided, model.options: {input_size: [48, 64]}}
  classifier:
    label: another
    recipe: pictures
"""


@pytest.fixture
def stems(tmp_path):
    path = tmp_path / "stems.yaml"
    path.write_text(STEMS)
    return path


@pytest.mark.skipif(missing_tools() is not None, reason=f"firmware: {missing_tools()}")
def test_costs_are_measured_and_stand_in_the_report(stems, tmp_path):
    command = ["experiment", str(stems), "--out", str(tmp_path)]
    assert main([*command, "--rows", "rnnpool,classifier", "--chip"]) == 0
    cost = chip.read_costs(tmp_path)["rnnpool"]
    assert isinstance(cost, chip.ChipCost)
    assert 0 < cost.stack < 1024 < cost.ram < 40_000
    assert cost.flash > 100_000  # the weights alone are 150 KB
    assert cost.seconds == pytest.approx(cost.instructions * 1.5 / 168e6, rel=0.3)
    page = (tmp_path / "stems.md").read_text()
    assert f"| RNNPool | {cost.ram:,} | {cost.stack} | {cost.instructions / 1e6:.1f} |" in page
    assert "- `classifier`: not measured, the network of 'mobilenet_v2_035-rnnpool' is known when a run is done" in page
    assert "| strided | 1" not in page
    numbers = json.loads((tmp_path / "stems.json").read_text())["rows"]
    assert numbers["rnnpool"]["chip"]["ram"] == cost.ram
    assert numbers["strided"]["chip"] is None
    assert numbers["strided"]["cost"]["parameters"] > 100_000  # a detector's is known before it is trained
    assert numbers["classifier"]["cost"] is None


def test_rows_may_be_measured_one_by_one(stems, tmp_path, monkeypatch):
    monkeypatch.setattr(chip, "chip_cost", lambda name, options, shape: chip.ChipCost(1, 2, 3, 4, 5.0))
    command = ["experiment", str(stems), "--out", str(tmp_path), "--chip"]
    for row in ("rnnpool", "strided"):
        assert main([*command, "--rows", row]) == 0
    assert set(chip.read_costs(tmp_path)) == {"rnnpool", "strided"}


def test_without_measurements_there_is_no_such_table(stems, tmp_path):
    assert main(["experiment", str(stems), "--out", str(tmp_path), "--report"]) == 0
    assert "On the chip" not in (tmp_path / "stems.md").read_text()
    assert chip.read_costs(tmp_path) == {}
