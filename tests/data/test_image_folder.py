"""Folders of classes: found, labelled, split, and refused with the name of what is wrong."""

import numpy as np
import pytest

from made_pictures import write_pictures
from rnnpool.data.image_folder import image_folder, split_by_seed
from rnnpool.errors import InputError


def test_labels_follow_the_sorted_folders(tmp_path):
    write_pictures(tmp_path / "train", {"red": 2, "blue": 3}, suffixes=(".png", ".JPG", ".webp"))
    (tmp_path / "train" / "red" / "notes.txt").write_text("no image")
    (tmp_path / "train" / "red" / ".hidden.png").write_bytes(b"no image either")
    (tmp_path / "train" / "cache").mkdir()  # holds no image: no class
    write_pictures(tmp_path / "train" / "red" / ".thumbnails", {"red": 1})
    write_pictures(tmp_path / "train" / ".ipynb_checkpoints", {"red": 1})
    images = image_folder(tmp_path, "train")
    assert images.classes == ("blue", "red")
    assert images.targets.tolist() == [0, 0, 0, 1, 1]
    assert images.names[0] == "train/blue/picture-0.png"
    assert images.region(1).shape == (33, 41, 3)


def test_a_part_may_lack_classes_but_not_bring_others(tmp_path):
    write_pictures(tmp_path / "train", {"red": 1, "blue": 1})
    write_pictures(tmp_path / "val", {"red": 1})
    assert image_folder(tmp_path, "val", classes=("blue", "red")).targets.tolist() == [1]
    with pytest.raises(InputError, match="class 'red' is none of the 1 known: blue"):
        image_folder(tmp_path, "val", classes=("blue",))


def test_the_split_is_even_over_classes_and_by_its_seed(tmp_path):
    images = image_folder(write_pictures(tmp_path, {"red": 10, "blue": 5, "green": 2}), ".")
    train, val = split_by_seed(images, 0.2, seed=0)
    assert sorted([*train.names, *val.names]) == sorted(images.names)
    assert np.bincount(val.targets).tolist() == [1, 1, 2]  # blue, green, red
    for part in (train, val):
        for index, name in enumerate(part.names):
            number = images.names.index(name)
            assert part.targets[index] == images.targets[number]
            np.testing.assert_array_equal(part.region(index), images.region(number))
    assert split_by_seed(images, 0.2, seed=0)[1].names == val.names
    assert split_by_seed(images, 0.2, seed=1)[1].names != val.names


def test_what_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing: no such folder"):
        image_folder(tmp_path, "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no folder in it holds an image"):
        image_folder(tmp_path, "empty")
    images = image_folder(write_pictures(tmp_path / "few", {"red": 1, "blue": 3}), ".")
    with pytest.raises(InputError, match="class 'red' has 1 image"):
        split_by_seed(images, 0.2, seed=0)
    with pytest.raises(InputError, match="val_share is 1.0"):
        split_by_seed(images, 1.0, seed=0)
    with pytest.raises(InputError, match="split_seed is -1"):
        split_by_seed(images, 0.2, seed=-1)
