import numpy as np
import pytest

from made_sets import write_image, write_wider
from rnnpool.data.wider import WiderFace, read_annotations
from rnnpool.errors import InputError


def photo(width=60, height=40, value=90):
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def root(tmp_path):
    images = {"0--A/a": photo(), "0--A/b": photo(80, 30), "1--B/none": photo()}
    faces = {"0--A/a": [(1, 2, 30, 20), (5, 5, 10, 10)], "0--A/b": [(70, 20, 12, 11)], "1--B/none": []}
    return write_wider(tmp_path, images, faces, split="train", invalid={"0--A/a": [1]})


def annotation_file(root):
    return root / "wider_face_split" / "wider_face_train_bbx_gt.txt"


def test_samples(root):
    data = WiderFace(root, "train")
    assert [data.name(i) for i in range(len(data))] == ["0--A/a", "0--A/b", "1--B/none"]
    first, second, third = data
    assert first.image.shape == (3, 40, 60)
    assert (first.image == 90).all()
    assert first.boxes.tolist() == [[1, 2, 31, 22]]
    assert first.ignore.tolist() == [[5, 5, 15, 15]]  # marked invalid
    assert second.boxes.tolist() == [[70, 20, 80, 30]]  # two and one pixels beyond the border: rounding, clipped
    assert third.boxes.shape == third.ignore.shape == (0, 4)
    assert WiderFace(root, "train", channels=1)[0].image.shape == (1, 40, 60)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png"])
def test_any_suffix_stands_in_for_jpg(tmp_path, suffix):
    write_wider(tmp_path, {"0--A/a": photo()}, {"0--A/a": [(1, 1, 5, 5)]}, suffix=suffix)
    assert WiderFace(tmp_path, "val")[0].path.suffix == suffix


def test_boxes_without_area_are_ignored(tmp_path):
    boxes = [(5, 5, 0, 9), (5, 5, 9, 0), (60, 5, 2, 9), (5, 5, 4, 4)]  # the third begins beside the image
    write_wider(tmp_path, {"0--A/a": photo()}, {"0--A/a": boxes})
    sample = WiderFace(tmp_path, "val")[0]
    assert sample.boxes.tolist() == [[5, 5, 9, 9]]
    assert len(sample.ignore) == 3


@pytest.mark.parametrize(
    ("box", "beyond"),
    [((-3, 5, 9, 9), "x=-3"), ((5, -3, 9, 9), "y=-3"), ((53, 5, 10, 9), "x=53"), ((5, 33, 9, 10), "y=33")],
)
def test_a_box_outside_its_image_is_named_with_file_and_line(tmp_path, box, beyond):
    write_wider(
        tmp_path, {"0--A/a": photo(), "0--A/b": photo()}, {"0--A/a": [(1, 1, 5, 5)], "0--A/b": [(1, 1, 5, 5), box]}
    )
    pattern = rf"wider_face_val_bbx_gt.txt:7: face .*{beyond}.* lies outside its image, b.png of 60x40 pixels"
    with pytest.raises(InputError, match=pattern):
        WiderFace(tmp_path, "val")


def test_an_invalid_box_may_lie_outside(tmp_path):
    write_wider(tmp_path, {"0--A/a": photo()}, {"0--A/a": [(-30, 5, 300, 9)]}, invalid={"0--A/a": [0]})
    sample = WiderFace(tmp_path, "val")[0]
    assert len(sample.boxes) == 0
    assert sample.ignore.tolist() == [[0, 5, 60, 14]]


def test_a_missing_image_is_named_with_file_and_line(root):
    (root / "WIDER_train" / "images" / "0--A" / "b.png").unlink()
    with pytest.raises(InputError, match=r"train_bbx_gt.txt:5: image .*0--A/b.jpg is missing \(looked for .*\.webp"):
        WiderFace(root, "train")


def test_a_corrupt_image_is_named(root):
    (root / "WIDER_train" / "images" / "0--A" / "b.png").write_bytes(b"not a png")
    with pytest.raises(InputError, match=r"b.png: not an image"):
        WiderFace(root, "train")


def test_a_truncated_image_is_named_when_read(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    write_wider(tmp_path, {"0--A/a": noise}, {"0--A/a": [(1, 1, 5, 5)]}, suffix=".jpg")
    path = tmp_path / "WIDER_val" / "images" / "0--A" / "a.jpg"
    path.write_bytes(path.read_bytes()[:5000])
    data = WiderFace(tmp_path, "val")  # the header is whole
    with pytest.raises(InputError, match=r"a.jpg: corrupt or unreadable image"):
        data[0]


def test_missing_annotations_and_splits_are_named(root):
    with pytest.raises(InputError, match="wider_face_val_bbx_gt.txt: no such file"):
        WiderFace(root, "val")
    with pytest.raises(InputError, match="split is 'test'; WIDER FACE has train and val"):
        WiderFace(root, "test")
    with pytest.raises(InputError, match="channels is 2"):
        WiderFace(root, "train", channels=2)


ROW = "1 2 3 4 0 0 0 0 0 0"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a.jpg", "1", "1 2 3 4"], r"gt.txt:3: '1 2 3 4'; expected 10 integers"),
        (["a.jpg", "1", ROW.replace("3", "x")], r"gt.txt:3: "),
        (["a.jpg", "1", ROW.replace("3", "3.5")], r"gt.txt:3: "),
        (["a.jpg", "one", ROW], r"gt.txt:2: 'one'; expected the number of faces of a.jpg"),
        (["a.jpg"], r"gt.txt:2: ''; expected the number of faces of a.jpg"),
        (["a.jpg", "-1"], r"gt.txt:2: '-1'"),
        (["a.jpg", "2", ROW], r"gt.txt:2: a.jpg announces 2 faces; the file ends after 3 lines"),
        (["a.jpg", "1", ROW, ROW], r"gt.txt:4: '1 2 3 4 0 0 0 0 0 0'; expected the name of an image"),
        (["a.jpg", "1", ROW, "", "b.jpg", "0"], r"gt.txt:4: ''; expected the name"),
        ([ROW], r"gt.txt:1: "),
        (["-" + ROW], r"gt.txt:1: '-1 2 3 4 0 0 0 0 0 0'; expected the name of an image"),
    ],
)
def test_malformed_lines_are_named(tmp_path, lines, message):
    path = tmp_path / "gt.txt"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=message):
        list(read_annotations(path))


def test_a_name_may_begin_with_a_number(tmp_path):
    write_wider(tmp_path, {"2024 party/1": photo()}, {"2024 party/1": [(1, 1, 5, 5)]})
    assert WiderFace(tmp_path, "val").name(0) == "2024 party/1"


def test_a_binary_annotation_file_is_named(tmp_path):
    (tmp_path / "gt.txt").write_bytes(b"\x89PNG\xff")
    with pytest.raises(InputError, match="gt.txt: not a text file"):
        list(read_annotations(tmp_path / "gt.txt"))


def test_an_image_of_no_faces_with_and_without_its_row_of_zeros(tmp_path):
    path = tmp_path / "gt.txt"
    path.write_text(f"a.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \nb.jpg\n0\nc.jpg\n1\n{ROW}\n\n")
    entries = list(read_annotations(path))
    assert [(entry.name, len(entry.rows), entry.line) for entry in entries] == [
        ("a.jpg", 0, 3),
        ("b.jpg", 0, 6),
        ("c.jpg", 1, 8),
    ]


def test_windows_line_ends(root):
    path = annotation_file(root)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(WiderFace(root, "train")) == 3


def test_upright_images_and_sizes(tmp_path):
    """A photo with an EXIF rotation: boxes belong to the upright image, of which the other side is the width."""
    from PIL import Image

    write_wider(tmp_path, {"0--A/a": photo(60, 40)}, {"0--A/a": [(2, 30, 20, 28)]}, suffix=".jpg")
    path = tmp_path / "WIDER_val" / "images" / "0--A" / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo(60, 40)).save(path, exif=exif)
    data = WiderFace(tmp_path, "val")
    assert data.pixels.size(0) == (40, 60)
    assert data[0].image.shape == (3, 60, 40)
    write_image(path, photo(60, 40))  # lying: now the box does not fit
    with pytest.raises(InputError, match="outside its image"):
        WiderFace(tmp_path, "val")
