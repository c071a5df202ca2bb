"""What only a process of its own can show: start-up, exit status, signals, pipes, names of files that are not UTF-8."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from rnnpool.cli import VERBS
from rnnpool.models import create_model, save_weights

RNNPOOL = (sys.executable, "-m", "rnnpool")
HEAVY = ("torch", "torchvision", "numpy", "PIL", "rich", "yaml", "matplotlib")


@pytest.mark.parametrize("arguments", [[], ["--help"], *([verb, "--help"] for verb in VERBS)], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from rnnpool.cli import main; status = main(sys.argv[1:]); "
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert "rnnpool" in done.stdout


def test_mistakes_are_status_2_without_a_traceback() -> None:
    done = subprocess.run([*RNNPOOL, "detect", "--no-such-option"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("rnnpool: error: ")


@pytest.mark.parametrize(("arguments", "seconds"), [([], 60), (["models", "face-tiny"], 120)], ids=["text", "table"])
def test_a_reader_that_went_away_is_no_error(arguments: list[str], seconds: int) -> None:
    """Nor is it where rich, which draws tables, sees it first."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [*RNNPOOL, *arguments]
    try:
        done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, timeout=seconds)
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_closed_stdout_takes_everything() -> None:
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *RNNPOOL, "models", "face-tiny"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", rb"Gr\xf6\u1e9ee"), ("utf-8", "Gr\xf6\u1e9ee".encode())])
def test_letters_that_the_terminal_lacks_are_escaped(encoding: str, shown: bytes) -> None:
    name = "Gr\xf6\u1e9ee".encode() + b"\xe9"  # the last byte is no UTF-8
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"}
    done = subprocess.run([*RNNPOOL, "detect", name], capture_output=True, env=environment, timeout=120)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert shown + b"\xe9" in done.stderr


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """face-tiny at its random start: every cell scores about 0.01."""
    path = tmp_path / "random.safetensors"
    save_weights(create_model("face-tiny"), path)
    return path


def test_skipped_input_is_status_1(tmp_path: Path, weights: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    Image.new("RGB", (320, 240), "white").save(tmp_path / name)
    (tmp_path / "corrupt.png").write_bytes(b"\x89PNG\r\n\x1a\nthat is all")
    done = subprocess.run(
        [*RNNPOOL, "detect", "corrupt.png", name, "--weights", weights, "--threshold", "0.005", "--json", "faces.json"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(b"caf\xe9.png: ")
    assert done.stderr.startswith(b"rnnpool: skipped: corrupt.png: ")
    (entry,) = json.loads((tmp_path / "faces.json").read_text())
    assert entry["image"] == name
    assert len(entry["faces"]) == done.stdout.count(b"score") > 0


def test_an_interrupt_is_status_130_and_leaves_no_half_result(tmp_path: Path, weights: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.effect_noise((640, 480), 60).save(photos / "0.png")
    for i in range(1, 1000):
        os.link(photos / "0.png", photos / f"{i}.png")
    process = subprocess.Popen(
        [*RNNPOOL, "detect", photos, "--weights", weights, "--json", "faces.json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().endswith("0.png: no face\n")  # it is in the middle of the work now
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "rnnpool: interrupted\n")
    assert not (tmp_path / "faces.json").exists()
