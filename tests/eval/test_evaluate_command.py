"""``rnnpool evaluate`` on made-up sets: as a process of its own, and its details in this one."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from made_sets import write_ground_truth, write_scut, write_wider
from rnnpool.cli import main
from rnnpool.models import create_model, save_weights
from white_squares import build_bright_square

CELL = (64, 128, 64, 64)  # what one cell of the detector of white squares sees in 640x480 pixels


def photo(x, y, w, h):
    pixels = np.full((480, 640), 128, np.uint8)
    pixels[y : y + h, x : x + w] = 255
    return pixels


@pytest.fixture
def wider(tmp_path):
    """Two photos; the face of the second is not where the square is."""
    images = {"0--A/hit": photo(*CELL), "1--B/miss": photo(*CELL)}
    faces = {"0--A/hit": [CELL], "1--B/miss": [(400, 300, 50, 50)]}
    return write_wider(tmp_path / "WIDER_FACE", images, faces, counted={"easy": {"1--B/miss": []}})


@pytest.fixture
def squares(bright_square, tmp_path):
    """The arguments that choose the detector of white squares."""
    model = build_bright_square()
    model.registry_name = bright_square
    save_weights(model, tmp_path / "squares.safetensors")
    return ["--model", bright_square, "--weights", str(tmp_path / "squares.safetensors")]


def run(*arguments):
    return main(["evaluate", *map(str, arguments)])


def test_figures_files_and_plot(wider, squares, tmp_path, capsys):
    out, figures = tmp_path / "out", tmp_path / "figures.json"
    assert run("--data", wider, *squares, "--out", out, "--json", figures) == 0
    entry = json.loads(figures.read_text())
    # One of two found; the other detection takes no face: precision 1/2 in the end, and both score the same.
    assert entry["levels"]["medium"] == {"average_precision": 0.25, "faces": 2}
    assert entry["levels"]["easy"] == {"average_precision": 0.5, "faces": 1}
    assert entry["levels"]["easy_few"] == {"average_precision": 0.5, "faces": 1}
    assert entry["images"] == 2
    assert entry["area"] == 320 * 240
    assert entry["model"] == "bright-square"
    assert entry["split"] == "val"
    table = capsys.readouterr().out
    assert "medium" in table
    assert "0.2500" in table
    lines = (out / "predictions" / "0--A" / "hit.txt").read_text().splitlines()
    assert lines[:2] == ["0--A/hit.jpg", "1"]
    assert [float(v) for v in lines[2].split()[:4]] == pytest.approx(CELL, abs=0.01)
    with Image.open(out / "precision_recall.png") as plot:
        assert min(plot.size) > 300


def test_predictions_give_the_figures_of_their_model(wider, squares, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("--data", wider, *squares, "--out", out, "--json", tmp_path / "a.json") == 0
    assert run("--data", wider, "--predictions", out / "predictions", "--json", tmp_path / "b.json") == 0
    a, b = (json.loads((tmp_path / f"{name}.json").read_text()) for name in "ab")
    assert a["levels"] == b["levels"]
    assert b["images"] == 2
    assert b["predictions"] == str(out / "predictions")


def test_predictions_need_no_images(tmp_path, capsys):
    faces = {"0--A/a": [(1, 2, 30, 40)], "0--A/b": [(5, 5, 9, 9), (50, 5, 9, 9)]}
    write_ground_truth(tmp_path / "set" / "ground_truth", faces)
    (tmp_path / "set" / "wider_face_split").mkdir()
    folder = tmp_path / "found"
    (folder / "0--A").mkdir(parents=True)
    (folder / "0--A" / "a.txt").write_text("0--A/a.jpg\n1\n1 2 30 40 0.7\n")
    status = run("--data", tmp_path / "set", "--predictions", folder, "--json", "-")
    captured = capsys.readouterr()
    assert status == 1  # b has no file
    assert "no predictions for 1 of 2 images, such as 0--A/b" in captured.err
    levels = json.loads(captured.out)["levels"]
    assert levels["hard"] == {"average_precision": pytest.approx(1 / 3, abs=1e-6), "faces": 3}


def test_a_level_without_faces_has_no_figure(tmp_path, squares, capsys):
    write_wider(tmp_path / "set", {"0--A/a": photo(*CELL)}, {"0--A/a": [CELL]}, counted={"easy": {"0--A/a": []}})
    assert run("--data", tmp_path / "set", *squares, "--out", tmp_path / "out", "--json", tmp_path / "j.json") == 0
    assert json.loads((tmp_path / "j.json").read_text())["levels"]["easy"] == {"average_precision": None, "faces": 0}
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("easy")]
    assert rows == [["easy", "-", "0", "-", "0"]]


def test_train_split_and_scut_head_have_one_level(tmp_path, squares, capsys):
    train = write_wider(tmp_path / "a", {"0--A/a": photo(*CELL)}, {"0--A/a": [CELL]}, split="train")
    assert run("--data", train, "--split", "train", *squares, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["levels"] == {"mAP": {"average_precision": 1.0, "faces": 1}}
    names = [f"PartB_{i:05}" for i in range(5)]
    write_scut(tmp_path / "b" / "SCUT_HEAD_Part_B", {n: photo(*CELL) for n in names}, {n: [CELL] for n in names})
    for split, heads in (("train", 4), ("val", 1)):
        arguments = ("--data", tmp_path / "b", "--split", split, *squares, "--out", tmp_path / split)
        assert run(*arguments, "--json", "-") == 0
        assert json.loads(capsys.readouterr().out)["levels"] == {"mAP": {"average_precision": 1.0, "faces": heads}}
        assert len(list((tmp_path / split / "predictions").glob("PartB_*.txt"))) == heads


def test_the_area_reaches_the_detector(wider, squares, capsys):
    # At 640x480 the cells see 32x32 pixels: the square is four cells, none of which is the face.
    assert run("--data", wider, *squares, "--area", "640x480", "--json", "-") == 0
    entry = json.loads(capsys.readouterr().out)
    assert entry["area"] == 640 * 480
    assert entry["levels"]["easy"]["average_precision"] == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "{set}", "--model", "face-tony"], "no model named 'face-tony'"),
        (["--data", "{set}", "--weights", "none.safetensors"], "none.safetensors: there is no such weights file"),
        (["--data", "{none}"], "none: no such folder"),
        (["--data", "{empty}"], "neither WIDER FACE (no wider_face_split) nor SCUT-HEAD (no Annotations)"),
        (["--data", "{set}", "--area", "320"], "'320'; expected WxH in pixels"),
        (["--data", "{set}", "--area", "0x9"], "'0x9'; expected WxH in pixels"),
        (["--data", "{set}", "--split", "test"], "--split test: it may be train or val"),
        (["--data", "{set}", "--predictions", "{empty}", "--model", "x"], "--model has no meaning with --predictions"),
        (["--data", "{set}", "--predictions", "{empty}"], "no file for any of the 2 images"),
        (["--model", "face-tiny"], "--data"),
    ],
)
def test_errors_are_one_line(wider, tmp_path, capsys, arguments, message):
    (tmp_path / "empty").mkdir()
    places = {"set": wider, "none": tmp_path / "none", "empty": tmp_path / "empty"}
    assert run(*(argument.format(**places) for argument in arguments)) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_target_that_cannot_be_written_is_named_before_the_work(wider, squares, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("rnnpool.eval.evaluation.Evaluation.detect", lambda *_, **__: pytest.fail("detected"))
    assert run("--data", wider, *squares, "--json", tmp_path) == 2
    assert f"--json {tmp_path}: a folder" in capsys.readouterr().err


def test_an_unknown_device_is_named(wider, squares, capsys):
    assert run("--data", wider, *squares, "--device", "abacus") == 2
    assert "--device abacus: " in capsys.readouterr().err


def test_random_weights_in_a_process_of_their_own(wider, tmp_path):
    torch.manual_seed(0)
    save_weights(create_model("face-tiny"), tmp_path / "random.safetensors")
    done = subprocess.run(
        [sys.executable, "-m", "rnnpool", "evaluate", "--data", wider, "--weights", tmp_path / "random.safetensors"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    title, _, *rows = done.stdout.splitlines()
    assert title == f"face-tiny {tmp_path / 'random.safetensors'} on WIDER_FACE, val"
    assert [row.split()[0] for row in rows] == ["easy", "medium", "hard"]
    assert "images/s" in done.stderr
