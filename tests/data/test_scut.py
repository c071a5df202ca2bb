import numpy as np
import pytest

from made_sets import voc_object, write_scut, write_voc
from rnnpool.data.scut import ScutHead, read_heads, split_names
from rnnpool.errors import InputError


def photo(width=60, height=40):
    return np.full((height, width, 3), 90, np.uint8)


@pytest.fixture
def root(tmp_path):
    names = [f"PartB_{i:05}" for i in range(10)]
    return write_scut(tmp_path, {n: photo() for n in names}, {n: [(i, 2, 10, 20)] for i, n in enumerate(names)})


def both_splits(root, seed=0):
    return [ScutHead(root, split, split_seed=seed) for split in ("train", "val")]


def test_samples(root):
    for data in both_splits(root):
        for i, sample in enumerate(data):
            number = int(data.name(i).removeprefix("PartB_"))
            assert sample.boxes.tolist() == [[number, 2, number + 10, 22]]
            assert sample.ignore.shape == (0, 4)
            assert sample.image.shape == (3, 40, 60)
            assert sample.path.stem == data.name(i)


def test_the_split_is_a_seeded_partition(root):
    train, val = both_splits(root)
    assert (len(train), len(val)) == (8, 2)
    assert sorted(train.names + val.names) == [f"PartB_{i:05}" for i in range(10)]
    assert both_splits(root)[1].names == val.names
    assert {tuple(both_splits(root, seed)[1].names) for seed in range(5)} != {tuple(val.names)}


@pytest.mark.parametrize("count", [2, 3, 4, 7, 100])
def test_each_part_has_an_image(count):
    names = [str(i) for i in range(count)]
    train, val = split_names(names, "train", 3), split_names(names, "val", 3)
    assert sorted(train + val) == sorted(names)
    assert len(val) == max(1, round(0.2 * count))


def test_difficult_heads_are_ignored_and_corners_clipped(root):
    extra = "<difficult>1</difficult>"
    for name in (f"PartB_{i:05}" for i in range(10)):
        objects = voc_object(-1, 0, 20.5, 30) + voc_object(30, 1, 62, 41, extra) + voc_object(1, 1, 9, 9)
        write_voc(root / "Annotations" / f"{name}.xml", objects)
    sample = ScutHead(root, "val")[0]
    assert sample.boxes.tolist() == [[0, 0, 20.5, 30], [1, 1, 9, 9]]
    assert sample.ignore.tolist() == [[30, 1, 60, 40]]


def test_images_without_heads_and_other_suffixes(tmp_path):
    write_scut(tmp_path, {"a": photo(), "b": photo()}, {"a": [], "b": []})
    for name in "ab":
        (tmp_path / "JPEGImages" / f"{name}.jpg").rename(tmp_path / "JPEGImages" / f"{name}.jpeg")
    for data in both_splits(tmp_path):
        assert data[0].boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ("<object>", r"a.xml: not XML \(mismatched tag: line 2"),
        ("<object><name>person</name></object>", r"a.xml: object 1 has no bndbox"),
        (voc_object(1, 1, 9, 9) + voc_object(1, "one", 9, 9), r"a.xml: object 2: ymin is 'one'"),
        (voc_object(1, 1, 9, ""), r"a.xml: object 1: ymax is ''"),
        (voc_object(1, 1, "nan", 9), r"a.xml: object 1: xmax is 'nan'"),
        (voc_object(1, 1, 1, 9), r"a.xml: object 1: box 1 1 1 9 is empty; expected xmin < xmax"),
        (voc_object(9, 9, 5, 12), r"box 9 9 5 12 is empty"),
        (voc_object(5, 5, 63, 12), r"box 5 5 63 12 lies outside its image, a.jpg of 60x40 pixels"),
        (voc_object(-3, 5, 20, 12), r"box -3 5 20 12 lies outside"),
        (voc_object(60, 5, 61, 12), r"box 60 5 61 12 lies outside"),
    ],
)
def test_malformed_annotations_are_named(tmp_path, objects, message):
    write_scut(tmp_path, {"a": photo(), "b": photo()}, {"a": [(1, 1, 5, 5)], "b": [(1, 1, 5, 5)]})
    write_voc(tmp_path / "Annotations" / "a.xml", objects)
    with pytest.raises(InputError, match=message):
        both_splits(tmp_path)


def test_corners_that_are_missing_are_named(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<annotation><object><bndbox><xmin>1</xmin></bndbox></object></annotation>")
    with pytest.raises(InputError, match="object 1: ymin is None; expected a number of pixels"):
        read_heads(path)


def test_a_binary_annotation_is_named(tmp_path):
    (tmp_path / "a.xml").write_bytes(b"\x89PNG\xff")
    with pytest.raises(InputError, match="a.xml: not XML"):
        read_heads(tmp_path / "a.xml")


def test_missing_folders_images_and_splits_are_named(root, tmp_path_factory):
    with pytest.raises(InputError, match="split_seed is -1; it must be 0 or more"):
        ScutHead(root, "train", split_seed=-1)
    with pytest.raises(InputError, match="split is 'test'"):
        ScutHead(root, "test")
    (root / "JPEGImages" / "PartB_00003.jpg").unlink()
    with pytest.raises(InputError, match=r"PartB_00003.xml: image .*PartB_00003.jpg is missing"):
        both_splits(root)
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(InputError, match="no folders Annotations and JPEGImages"):
        ScutHead(empty, "train")
    (empty / "Annotations").mkdir()
    (empty / "JPEGImages").mkdir()
    with pytest.raises(InputError, match="0 .xml files; a split needs 2 or more"):
        ScutHead(empty, "train")
