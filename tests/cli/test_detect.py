"""``rnnpool detect``, run in this process with a detector that finds white squares."""

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rnnpool.cli import main
from rnnpool.models import create_model, save_weights
from white_squares import square_photo

BOX = {"x": 192, "y": 128, "width": 64, "height": 64}

Detect = Callable[..., int]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def detect(folder: Path, bright_square: str, tmp_path_factory: pytest.TempPathFactory) -> Detect:
    """``rnnpool detect ARGUMENTS`` with the white squares' detector; returns the exit status."""
    weights = tmp_path_factory.mktemp("weights") / "bright-square.safetensors"
    save_weights(create_model(bright_square), weights)
    return lambda *arguments: main(
        ["detect", "--model", bright_square, "--weights", str(weights), *map(str, arguments)]
    )


def save_photo(path: str, **square: int) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(square_photo(**square)).save(path)
    return Path(path)


def boxes(path: str = "faces.json") -> dict[str, list[dict]]:
    """Image -> boxes without their scores, after a look at the scores."""
    entries = json.loads(Path(path).read_text())
    for entry in entries:
        assert set(entry) == {"image", "width", "height", "faces"}
        for face in entry["faces"]:
            assert 0.9 < face.pop("score") <= 1.0
    return {entry["image"]: entry["faces"] for entry in entries}


def test_the_whole_job(detect: Detect, capsys: pytest.CaptureFixture) -> None:
    save_photo("photo.jpg")
    save_photo("nobody.png", side=0)
    assert detect("photo.jpg", "nobody.png", "--out", "found", "--json", "faces.json") == 0
    captured = capsys.readouterr()
    assert captured.out == (
        "photo.jpg: 1 face -> found/photo.png\n"
        "  64 x 64 at x 192, y 128  score 1.00\n"
        "nobody.png: no face -> found/nobody.png\n"
    )
    assert captured.err == ""
    assert boxes() == {"photo.jpg": [BOX], "nobody.png": []}
    with Image.open("found/photo.png") as picture, Image.open("photo.jpg") as photo:
        assert (picture.size, picture.mode) == ((640, 480), "RGB")
        changed = (np.asarray(picture) != np.asarray(photo.convert("RGB"))).any(axis=2)
    assert changed[120:128, 192:256].any()  # the frame
    assert not changed[200:].any()
    assert not changed[128:192, 192:256].any()  # the face
    assert sorted(p.name for p in Path("found").iterdir()) == ["nobody.png", "photo.png"]  # no temporary file is left


def test_json_to_stdout_is_all_there_is(detect: Detect, capsys: pytest.CaptureFixture) -> None:
    save_photo("photo.png")
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert detect("photo.png", "broken.png", "--json", "-") == 1
    captured = capsys.readouterr()
    (entry,) = json.loads(captured.out)
    assert (entry["image"], entry["width"], entry["height"]) == ("photo.png", 640, 480)
    assert captured.err.startswith("rnnpool: skipped: broken.png: ")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_in_upright_pixels(detect: Detect, orientation: int) -> None:
    # What has to be done to the upright picture so that a reader that obeys the tag sees it upright again.
    stored = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }[orientation]
    image = Image.fromarray(square_photo())
    for step in stored:
        image = image.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save("photo.jpg", exif=exif)
    assert detect("photo.jpg", "--json", "faces.json", "--out", "found") == 0
    assert boxes() == {"photo.jpg": [BOX]}
    with Image.open("found/photo.png") as picture:
        assert picture.size == (640, 480)


def test_every_kind_of_image(detect: Detect) -> None:
    image = Image.fromarray(square_photo())
    deep = Image.fromarray(square_photo().astype(np.uint16) * 257)
    glass = image.convert("RGBA")
    glass.putalpha(Image.fromarray(255 - square_photo(x=64, y=64)))  # a hole shows the white that is laid behind
    palette = image.convert("P")
    clear = Image.fromarray((square_photo() // 255).astype(np.uint8)).convert("P")
    clear.putpalette([0, 0, 0, 77, 77, 77])
    files = {
        "grey.png": image,
        "bilevel.tif": image.convert("1"),
        "deep.png": deep,
        "deep.tif": deep,
        "palette.gif": palette,
        "rgb.bmp": image.convert("RGB"),
        "rgb.webp": image.convert("RGB"),
        "cmyk.jpg": image.convert("CMYK"),
        "float.tif": Image.fromarray((square_photo() / 255).astype(np.float32)),
    }
    for name, kind in files.items():
        kind.save(name)
    clear.save("clear.png", transparency=1)  # the square is transparent
    glass.save("glass.png")
    names = [*files, "clear.png", "glass.png"]
    assert detect(*names, "--json", "faces.json") == 0
    hole = BOX | {"x": 64, "y": 64}
    assert boxes() == {name: [BOX] for name in names[:-1]} | {"glass.png": [hole, BOX]}


def test_tiny_and_huge_images(detect: Detect) -> None:
    Image.new("L", (1, 1)).save("tiny.png")
    huge = Image.new("1", (5760, 4320))
    huge.paste(1, (1728, 1152, 1728 + 576, 1152 + 576))
    huge.save("huge.png")
    assert detect("tiny.png", "--json", "tiny.json", "--out", "found") == 0
    assert boxes("tiny.json") == {"tiny.png": []}
    assert Path("found/tiny.png").is_file()
    assert detect("huge.png", "--json", "huge.json") == 0
    assert boxes("huge.json") == {"huge.png": [{"x": 1728, "y": 1152, "width": 576, "height": 576}]}


def test_what_cannot_be_read_is_named_and_skipped(detect: Detect, capsys: pytest.CaptureFixture) -> None:
    photo = save_photo("good.jpg")
    Path("cut.jpg").write_bytes(photo.read_bytes()[:2000])
    Path("text.png").write_text("no image")
    Path("empty.jpg").touch()
    Path("nothing").mkdir()
    assert detect("cut.jpg", "text.png", "empty.jpg", "missing.jpg", "nothing", "good.jpg", "--json", "faces.json") == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0] == "good.jpg: 1 face"
    skipped = [line.removeprefix("rnnpool: skipped: ").split(":")[0] for line in captured.err.splitlines()]
    assert skipped == ["missing.jpg", "nothing", "cut.jpg", "text.png", "empty.jpg"]
    assert boxes() == {"good.jpg": [BOX]}


def test_nothing_readable_is_an_error(detect: Detect, capsys: pytest.CaptureFixture) -> None:
    Path("text.png").write_text("no image")
    assert detect("text.png", "--json", "faces.json", "--out", "found") == 2
    assert capsys.readouterr().err.splitlines()[-1] == "rnnpool: error: no image could be read"
    assert not Path("faces.json").exists()
    assert detect("missing.jpg") == 2
    assert capsys.readouterr().err == (
        "rnnpool: skipped: missing.jpg: no such file or folder\nrnnpool: error: no image to look at\n"
    )


def test_folders_are_searched(detect: Detect) -> None:
    for name in ("b.png", "a.JPG", "deeper/c.webp", ".hidden.png", ".cache/d.png", "found/old.png"):
        save_photo(f"photos/{name}")
    Path("photos/notes.txt").write_text("no image")
    os.symlink("b.png", "photos/link.png")  # the same image once more
    os.symlink("..", "photos/deeper/loop")
    assert detect("photos", "photos/b.png", "--out", "photos/found", "--json", "faces.json") == 0
    assert list(boxes()) == ["photos/a.JPG", "photos/b.png", "photos/deeper/c.webp"]
    written = {str(p.relative_to("photos/found")) for p in Path("photos/found").rglob("*") if p.is_file()}
    assert written == {"a.png", "b.png", "deeper/c.png", "old.png"}


def test_copies_never_collide_nor_replace_an_input(detect: Detect, capsys: pytest.CaptureFixture) -> None:
    for name in ("photo.jpg", "photo.webp", "one/photo.jpg", "two/photo.jpg", "two/PHOTO.png"):
        save_photo(name)
    assert detect("photo.jpg", "photo.webp", "one/photo.jpg", "two", "--out", "found") == 0
    written = sorted(p.name for p in Path("found").iterdir())
    assert written == ["PHOTO-4.png", "photo-2.png", "photo-3.png", "photo-5.png", "photo.png"]

    before = save_photo("self.png").read_bytes()
    assert detect("self.png", "--out", ".") == 0
    assert Path("self.png").read_bytes() == before
    assert Path("self-2.png").is_file()


def test_threshold(detect: Detect, capsys: pytest.CaptureFixture) -> None:
    save_photo("photo.png")
    assert detect("photo.png", "--threshold", "0.999", "--json", "faces.json") == 0
    assert boxes() == {"photo.png": []}
    for wrong in ("1.5", "-0.1", "nan"):
        assert detect("photo.png", f"--threshold={wrong}") == 2
        assert capsys.readouterr().err.endswith("a score is 0..1\n")


def test_outputs_that_cannot_be_written_are_told_before_the_work(detect: Detect, capsys: pytest.CaptureFixture) -> None:
    photo = save_photo("photo.png")
    before = photo.read_bytes()
    Path("file").touch()
    for arguments, message in {
        ("--out", "file"): "--out file: cannot make this folder: it is a file",
        ("--out", "file/found"): "--out file/found: cannot make this folder: Not a directory",
        ("--out", "/proc/found"): "--out /proc/found: cannot make this folder: No such file or directory",
        ("--json", "."): "--json .: a folder; expected the name of a file",
        ("--json", "photo.png"): "--json photo.png: one of the images; it would be overwritten",
        ("--json", "file/faces.json"): "--json file: cannot make this folder: it is a file",
    }.items():
        assert detect("photo.png", *arguments) == 2
        captured = capsys.readouterr()
        assert captured.err == f"rnnpool: error: {message}\n"
        assert captured.out == ""
    assert photo.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(detect: Detect, capsys: pytest.CaptureFixture) -> None:
    save_photo("photo.png")
    Path("locked").mkdir(mode=0o555)
    assert detect("photo.png", "--out", "locked") == 2
    assert capsys.readouterr().err == "rnnpool: error: --out locked: no permission to write into this folder\n"


@pytest.mark.parametrize(("option", "target"), [("--out", "found/photo.png"), ("--json", "found/faces.json")])
def test_a_full_disk_leaves_nothing_half_written(
    detect: Detect, capsys: pytest.CaptureFixture, option: str, target: str
) -> None:
    save_photo("photo.png")
    previous = "what was there before"
    Path("found").mkdir()
    Path(target).write_text(previous)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # as a disk with room for 100 bytes more
    try:
        status = detect("photo.png", option, "found" if option == "--out" else target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == 2
    assert capsys.readouterr().err == f"rnnpool: error: cannot write {target}: File too large\n"
    assert [p.name for p in Path("found").iterdir()] == [Path(target).name]
    assert Path(target).read_text() == previous


def test_devices_are_written_to_not_replaced(detect: Detect) -> None:
    save_photo("photo.png")
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert detect("photo.png", "--json", "pipe") == 0
        assert json.loads(os.read(reader, 1 << 16))[0]["image"] == "photo.png"
    finally:
        os.close(reader)
    assert Path("pipe").is_fifo()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "face-tyni"], "there is no model named 'face-tyni'; did you mean face-tiny"),
        (["--model", "mobilenet_v2"], "model 'mobilenet_v2' finds no faces; detectors are: bright-square, face-"),
        (["--weights", "none.safetensors"], "none.safetensors: there is no such weights file"),
        (["--weights", "cut.safetensors"], "cut.safetensors: not a whole safetensors file"),
        (
            ["--model", "face-m4", "--weights", "other.safetensors"],
            "other.safetensors: holds weights of model 'face-tiny'",
        ),
    ],
)
def test_models_and_weights_that_do_not_fit(
    detect: Detect, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    save_photo("photo.png")
    save_weights(create_model("face-tiny"), "other.safetensors")
    Path("cut.safetensors").write_bytes(Path("other.safetensors").read_bytes()[:5000])
    assert detect("photo.png", *arguments) == 2
    assert capsys.readouterr().err.startswith(f"rnnpool: error: {message}")
