"""One image that cannot be read: all of the set that cannot are named."""

import pytest

from made_pictures import write_pictures
from rnnpool.cli import main
from rnnpool.data.pixel_cache import PixelFiles, open_pixels
from rnnpool.data.unreadable import all_unreadable_named
from rnnpool.errors import InputError

SMALL = ["train.images=160", "train.batch_size=8", "data.size=32", "train.threads=1", "data.augment.colour=null"]


@pytest.fixture
def pictures(tmp_path):
    """Three of twenty broken: no image at all, cut off, empty."""
    root = write_pictures(tmp_path / "pictures", {"red": 10, "blue": 10}, suffixes=(".png", ".webp"))
    broken = [root / "red" / "picture-0.png", root / "blue" / "picture-4.png", root / "blue" / "picture-7.webp"]
    broken[0].write_text("no image")
    broken[1].write_bytes(broken[1].read_bytes()[:300])
    broken[2].write_bytes(b"")
    return root


def files(root):
    return PixelFiles(sorted(path for path in root.rglob("*") if path.is_file()), 3)


def assert_all_named(text, count=20):
    assert f"3 of {count} images cannot be read; remove or replace them:" in text
    for name in ("blue/picture-4.png", "blue/picture-7.webp", "red/picture-0.png"):
        assert f"{name}: " in text


@pytest.mark.parametrize("workers", [0, 1])
def test_training_names_them_all(pictures, tmp_path, workers, capsys):
    command = ["train", "pictures", "--data", str(pictures), "--out", str(tmp_path / "run"), *SMALL]
    assert main([*command, f"train.workers={workers}"]) == 2
    assert_all_named(capsys.readouterr().err)


def test_the_cache_is_not_made_and_they_are_named(pictures, tmp_path):
    with pytest.raises(InputError) as caught:
        open_pixels(files(pictures).paths, channels=3, cache=tmp_path / "cache", root=pictures)
    assert_all_named(str(caught.value))
    assert not any((tmp_path / "cache").iterdir())


def test_calibration_names_those_that_it_would_take(pictures, tmp_path, capsys):
    command = ["quantize", "vww-rnnpool", "--calibrate", str(pictures), "--out", str(tmp_path / "int8.safetensors")]
    assert main(command) == 2
    assert_all_named(capsys.readouterr().err)


def read(pixels):
    for number in range(len(pixels)):
        pixels[number]


def test_one_alone_is_said_as_it_is(pictures):
    red = PixelFiles([path for path in files(pictures).paths if path.parent.name == "red"], 3)
    message = r"^\S+picture-0.png: not an image that Pillow can read$"
    with pytest.raises(InputError, match=message), all_unreadable_named(red):
        read(red)


def test_a_long_list_is_cut_and_a_long_search_says_how_far_it_came(pictures):
    many, others = (PixelFiles(files(pictures).paths * 10, 3) for _ in range(2))
    with (
        pytest.raises(InputError, match="of the first 64 .there are 200. images"),
        all_unreadable_named(many, many, seconds=0),
    ):
        read(many)
    with pytest.raises(InputError, match="60 of 400 images") as caught, all_unreadable_named(many, others):
        read(many)
    assert str(caught.value).endswith("\n  and 40 more")


def test_other_errors_pass(pictures):
    with pytest.raises(InputError, match="^another$"), all_unreadable_named(files(pictures)):
        raise InputError("another")
