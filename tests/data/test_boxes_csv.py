import numpy as np
import pytest

from made_sets import write_image
from rnnpool.data.boxes_csv import BoxesCsv, read_boxes
from rnnpool.errors import InputError

HEADER = "path,x,y,w,h,score"


@pytest.fixture
def root(tmp_path):
    for name in ("set/dog/a.png", "set/cat/b.png", "set/cat/c.png", "other/d.png"):
        write_image(tmp_path / name, np.full((40, 80), 90, np.uint8))
    return tmp_path


def table(root, *rows):
    (root / "boxes.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return root / "boxes.csv"


def test_sure_boxes_are_faces_and_others_ignored(root):
    rows = ["set/cat/b.png,0.25,0.5,0.5,0.25,0.75", "set/cat/b.png,0,0,0.5,1,0.74", "set/cat/c.png,,,,,"]
    data = BoxesCsv(table(root, *rows), root, positive=0.75)
    assert len(data) == 2
    assert data[0].boxes.tolist() == [[20, 20, 60, 30]]
    assert data[0].ignore.tolist() == [[0, 0, 40, 40]]
    assert data[1].boxes.shape == data[1].ignore.shape == (0, 4)
    assert data[0].path == root / "set/cat/b.png"


def test_unsure_folders_and_prefix(root):
    rows = ["set/dog/a.png,0,0,0.5,0.5,0.99", "set/cat/b.png,0,0,0.5,0.5,0.99", "other/d.png,0,0,0.5,0.5,0.99"]
    data = BoxesCsv(table(root, *rows), root, prefix="set/", unsure_folders=["dog"])
    assert [(len(sample.boxes), len(sample.ignore)) for sample in data] == [(0, 1), (1, 0)]


def test_rows_of_an_image_need_not_be_together(root):
    rows = ["set/cat/b.png,0,0,0.5,0.5,0.9", "set/cat/c.png,,,,,", "", "set/cat/b.png,0.5,0,0.5,0.5,0.9"]
    data = BoxesCsv(table(root, *rows), root)
    assert [len(sample.boxes) for sample in data] == [2, 0]


def test_rounded_boxes_are_clipped(root):
    data = BoxesCsv(table(root, "set/cat/b.png,0.5,0.5,0.5004,0.5004,0.9"), root)
    assert data[0].boxes.tolist() == [[40, 20, 80, 40]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("set/cat/b.png,0,0,0.5,0.5", r"boxes.csv:3: 0,0,0.5,0.5; expected five numbers"),
        ("set/cat/b.png,0,0,0.5,0.5,0.5,0.5", r"boxes.csv:3: "),
        ("set/cat/b.png,0,0,half,0.5,0.5", r"boxes.csv:3: .*expected five numbers"),
        ("set/cat/b.png,0.6,0,0.5,0.5,0.5", r"boxes.csv:3: .*must have an area and lie inside its image"),
        ("set/cat/b.png,-0.1,0,0.5,0.5,0.5", r"boxes.csv:3: "),
        ("set/cat/b.png,0,0,0,0.5,0.5", r"boxes.csv:3: "),
        ("set/cat/b.png,0,0,0.5,0.5,1.5", r"boxes.csv:3: "),
        ("set/cat/b.png,0,nan,0.5,0.5,0.5", r"boxes.csv:3: "),
        ("set/cat/b.png,0,0,0.5,nan,0.5", r"boxes.csv:3: "),
        ("set/cat/b.png,0,0,0.5,0.5,nan", r"boxes.csv:3: "),
    ],
)
def test_malformed_rows_are_named(root, row, message):
    with pytest.raises(InputError, match=message):
        read_boxes(table(root, "set/dog/a.png,0,0,1,1,0.5", row))


def test_missing_files_and_columns_are_named(root):
    with pytest.raises(InputError, match="none.csv: no such table"):
        read_boxes(root / "none.csv")
    (root / "latin.csv").write_bytes(b"path,x,y,w,h,score\nb\xe9b\xe9.png,,,,,\n")
    with pytest.raises(InputError, match="latin.csv: not a table of text"):
        read_boxes(root / "latin.csv")
    with pytest.raises(InputError, match="boxes.csv: image .*z.png is missing"):
        BoxesCsv(table(root, "set/cat/z.png,,,,,"), root)
    with pytest.raises(InputError, match="no image whose path begins with 'nothing/'"):
        BoxesCsv(table(root, "set/cat/b.png,,,,,"), root, prefix="nothing/")
    (root / "boxes.csv").write_text("path,x,y,width,height,score\n")
    with pytest.raises(InputError, match=r"boxes.csv:1: columns path,x,y,width,.*; expected path,x,y,w,h,score"):
        read_boxes(root / "boxes.csv")
