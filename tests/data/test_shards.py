"""Shards hold the folder's images byte for byte; every sample is seen once an epoch, by one process of two."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from made_pictures import write_pictures
from rnnpool.cli import main
from rnnpool.data import shards
from rnnpool.data.image_folder import image_folder
from rnnpool.data.shards import ShardOrder, open_shards
from rnnpool.errors import InputError
from rnnpool.train.task import Plan
from rnnpool.train.tasks import create_task

sys.path.insert(0, str(Path(__file__).parent))
from sharded_run import recipe


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of pictures in two parts, and its shards, small ones."""
    root = tmp_path_factory.mktemp("folders")
    write_pictures(root / "pictures" / "train", {"red": 8, "green": 8, "blue": 8}, suffixes=(".png", ".webp"))
    write_pictures(root / "pictures" / "val", {"red": 2, "blue": 2}, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rnnpool.data.shards.MEGABYTE", 3000)
        assert main(["shards", str(root / "pictures"), str(root / "shards"), "--megabytes", "3"]) == 0
    return root


def test_shards_hold_the_folders_images(folders):
    images, _ = open_shards(folders / "shards", "train")
    original = image_folder(folders / "pictures", "train")
    assert sorted(images.names) == sorted(original.names)
    assert images.classes == original.classes
    for index, name in enumerate(images.names):
        number = original.names.index(name)
        np.testing.assert_array_equal(images.region(index), original.region(number))
        assert images.targets[index] == original.targets[number]
        assert images.pixels.size(index) == original.pixels.size(number)
    val, _ = open_shards(folders / "shards", "val", classes=images.classes)
    assert sorted(val.targets.tolist()) == [0, 0, 2, 2]  # numbered as in train, though one is absent


def test_sizes_are_known_without_decoding(folders, monkeypatch):
    images, _ = open_shards(folders / "shards", "train")
    chosen = [i for i, name in enumerate(images.names) if name.endswith(".webp")]  # a PNG's orientation may come last
    sizes = [images.pixels[i].shape[1::-1] for i in chosen]
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    assert chosen
    assert [images.pixels.size(i) for i in chosen] == sizes


def test_names_are_webdatasets_and_shards_of_others_can_be_read(folders, tmp_path):
    shards = sorted(path.name for path in (folders / "shards").glob("train-*.tar"))
    assert shards == [f"train-{number:06d}.tar" for number in range(len(shards))]
    assert len(shards) > 3
    with tarfile.open(folders / "shards" / shards[0]) as tar:
        first, second = tar.getnames()[:2]
    assert first.startswith("000000000.")
    assert second == "000000000.cls"
    for name in shards:
        (tmp_path / name).write_bytes((folders / "shards" / name).read_bytes())
    scanned, _ = open_shards(tmp_path, "train")
    indexed, _ = open_shards(folders / "shards", "train")
    assert scanned.classes == ("0", "1", "2")
    np.testing.assert_array_equal(scanned.targets, indexed.targets)
    np.testing.assert_array_equal(scanned.pixels.places, indexed.pixels.places)


def test_an_epoch_is_a_permutation_from_few_shards_at_a_time():
    places = np.zeros((50, 4), np.int64)
    places[:, 0] = np.repeat(np.arange(10), 5)
    order = ShardOrder(places, window=2)
    first, again, other = order(50, 1).numpy(), order(50, 1).numpy(), order(50, 2).numpy()
    assert sorted(first) == list(range(50))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    for start in range(0, 50, 10):
        assert len(set(places[first[start : start + 10], 0])) == 2
    assert any(np.any(np.diff(first[start : start + 10] // 5) != 0) for start in range(0, 50, 10))


def test_any_step_can_be_taken_up(folders):
    task = create_task(recipe(72), folders / "shards")

    def keys(first, last, workers=0):
        plan = Plan(first, last, 6, rank=0, world=1, seed=0, workers=workers, device=torch.device("cpu"))
        return [batch.keys for batch in task.batches(plan)]

    whole = keys(0, 12)
    assert keys(5, 12, workers=1) == whole[5:]
    assert sorted(key for batch in whole for key in batch) == [(e, i) for e in range(3) for i in range(24)]


def test_two_processes_see_every_sample_once(folders, tmp_path):
    script = Path(__file__).parent / "sharded_run.py"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0", "--standalone"]
    command = [*torchrun, str(script), str(folders / "shards"), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    seen = [json.loads((tmp_path / f"seen-{rank}.json").read_text()) for rank in (0, 1)]
    assert [len(part) for part in seen] == [36, 36]
    names = image_folder(folders / "pictures", "train").names
    expected = sorted([epoch, name] for epoch in range(3) for name in names)
    assert sorted(seen[0] + seen[1]) == expected


def test_classes_without_parts_are_packed_whole_and_split_when_opened(folders, tmp_path, capsys):
    pictures = write_pictures(tmp_path / "pictures", {"red": 10, "blue": 15})
    assert main(["shards", str(pictures), str(tmp_path / "shards")]) == 0
    assert capsys.readouterr().out == "all: 25 images of 2 classes in 1 shards\n"
    task = create_task(recipe(60), tmp_path / "shards")
    train, val = task.samples.images, task.val.images
    assert (len(train), np.bincount(val.targets).tolist()) == (20, [3, 2])  # a fifth of blue and of red
    assert sorted([*train.names, *val.names]) == sorted(image_folder(pictures, ".").names)
    plan = Plan(0, 10, 6, rank=0, world=1, seed=0, workers=0, device=torch.device("cpu"))
    seen = [key for batch in task.batches(plan) for key in batch.keys]
    assert sorted(seen) == [(epoch, index) for epoch in range(3) for index in range(20)]
    first, second = [[index for epoch, index in seen if epoch == number] for number in (0, 1)]
    assert first != second != sorted(second)


def test_training_and_evaluation_hold_out_the_same(tmp_path, capsys):
    pictures = write_pictures(tmp_path / "pictures", {"red": 10, "blue": 15})
    assert main(["shards", str(pictures), str(tmp_path / "shards")]) == 0
    small = [
        "model.name=pooled-avg",
        "model.options={width: 4}",
        "data.size=8",
        "train.images=24",
        "train.batch_size=8",
    ]
    data, out = str(tmp_path / "shards"), str(tmp_path / "run")
    assert main(["train", "pictures", "--data", data, "--out", out, *small, "train.workers=0"]) == 0
    trained = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    capsys.readouterr()
    assert main(["evaluate", "--data", data, "--weights", f"{out}/final.safetensors", "--json", "-"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["images"] == 5
    assert figures["loss"] == pytest.approx(trained["loss"])


def test_packing_that_fails_leaves_nothing_that_could_be_trained_on(folders, tmp_path, monkeypatch):
    monkeypatch.setattr("rnnpool.data.shards.MEGABYTE", 3000)
    add, added = shards._add, []

    def full_disk(tar, name, content):
        added.append(name)
        if len(added) == 40:
            raise OSError(28, "No space left on device")
        return add(tar, name, content)

    monkeypatch.setattr(shards, "_add", full_disk)
    assert main(["shards", str(folders / "pictures"), str(tmp_path), "--megabytes", "3"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_shards_of_others_may_name_folders_and_lack_classes(tmp_path):
    """Names as `tar cf x.tar .` gives them, with dots in folders; a val part without the highest class."""
    write_pictures(tmp_path / "pictures", {"blue": 1, "green": 1, "red": 1})
    pictures = sorted((tmp_path / "pictures").rglob("*.png"))
    for part, labels in (("train", (0, 1, 2)), ("val", (0, 1))):
        with tarfile.open(tmp_path / f"{part}-000000.tar", "w") as tar:
            for label, picture in zip(labels, pictures, strict=False):
                tar.add(picture, f"./v1.0/{label:04d}.png")
                (tmp_path / "label").write_text(str(label))
                tar.add(tmp_path / "label", f"./v1.0/{label:04d}.cls")
    train, _ = open_shards(tmp_path, "train")
    assert (train.classes, train.targets.tolist()) == (("0", "1", "2"), [0, 1, 2])
    val, _ = open_shards(tmp_path, "val", classes=train.classes)
    assert (val.classes, val.targets.tolist()) == (train.classes, [0, 1])
    with pytest.raises(InputError, match="the training's are"):
        open_shards(tmp_path, "train", classes=("0", "1"))
    with tarfile.open(tmp_path / "test-000000.tar", "w") as tar:
        tar.add(tmp_path / "label", "readme.txt")
    with pytest.raises(InputError, match="test-000000.tar: no image in it"):
        open_shards(tmp_path, "test")


def test_parts_are_packed_as_training_takes_them(tmp_path, capsys):
    """Beside train/ what is hidden or holds no class is no part; a class's pictures may lie deeper."""
    parts = tmp_path / "parts"
    for part, count in (("train", 3), ("val", 2), (".thumbs", 1)):
        write_pictures(parts / part, {"red": count, "blue": count})
    write_pictures(parts, {"green": 1})  # a stray picture: "green" holds it directly, and is no class beside train/
    (parts / "notes").mkdir()
    nested = tmp_path / "nested"
    for name in ("red", "blue"):
        write_pictures(nested / name, {name: 2})
    write_pictures(nested / ".git", {"green": 1})
    for folder in (parts, nested):
        assert main(["shards", str(folder), str(tmp_path / f"{folder.name}-shards")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "train: 6 images of 2 classes in 1 shards",
        "val: 4 images of 2 classes in 1 shards",
        "all: 4 images of 2 classes in 1 shards",
    ]


def test_pictures_that_cannot_be_read_are_named_together(tmp_path, capsys):
    pictures = write_pictures(tmp_path / "pictures", {"red": 2, "blue": 2})
    (pictures / "red" / "folder.png").mkdir()
    (pictures / "blue" / "gone.png").symlink_to("nowhere")
    assert main(["shards", str(pictures), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "2 of 6 images cannot be read" in error
    assert "folder.png: not a file" in error
    assert "gone.png: no such image file" in error
    (pictures / "blue" / "gone.png").unlink()
    assert main(["shards", str(pictures), str(tmp_path / "out")]) == 2
    assert "folder.png: cannot be read (Is a directory)" in capsys.readouterr().err


def test_no_part_is_packed_where_another_has_a_class_of_its_own(tmp_path, capsys):
    write_pictures(tmp_path / "pictures" / "train", {"blue": 1, "green": 1})
    write_pictures(tmp_path / "pictures" / "val", {"blue": 1, "red": 1})
    assert main(["shards", str(tmp_path / "pictures"), str(tmp_path / "out")]) == 2
    assert "red" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


def test_what_is_refused(folders, tmp_path, capsys):
    assert main(["shards", str(folders / "pictures"), str(folders / "shards")]) == 2
    assert main(["shards", str(tmp_path), str(tmp_path / "out")]) == 2
    assert main(["shards", str(folders / "pictures"), str(tmp_path / "out"), "--seed", "-1"]) == 2
    (tmp_path / "file").touch()
    assert main(["shards", str(folders / "pictures"), str(tmp_path / "file")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "has shards of 'train' already" in errors[0]
    assert "no folder in it holds an image" in errors[1]
    assert "--seed -1: it must be 0 or more" in errors[2]
    assert f"OUT {tmp_path / 'file'}: cannot make this folder: it is a file" in errors[3]
    for path in (folders / "shards").glob("train*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with open(tmp_path / "train-000001.tar", "r+b") as file:
        file.truncate(1000)
    with pytest.raises(InputError, match="train-000001.tar: has 1,000 bytes"):
        open_shards(tmp_path, "train")
    (tmp_path / "train-000001.tar").unlink()
    with pytest.raises(InputError, match="train-000001.tar: is missing"):
        open_shards(tmp_path, "train")
    with pytest.raises(InputError, match="the training's are"):
        open_shards(folders / "shards", "val", classes=("blue", "red"))
    (tmp_path / "train.json").write_text("{}")
    with pytest.raises(InputError, match="train.json: damaged"):
        open_shards(tmp_path, "train")
