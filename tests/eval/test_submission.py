import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rnnpool.errors import InputError
from rnnpool.eval.submission import read_file, read_submission, write_submission

COORDINATE = st.floats(0, 5000, width=32)
SCORE = st.floats(0, 1, width=32)


def test_the_layout(tmp_path):
    found = np.array([[1.23456, 2, 30, 40.5, 0.9876543], [0, 0, 1, 1, 0.25]])
    write_submission(tmp_path, {"0--Parade/a_1": found, "1--B/empty": np.zeros((0, 5))})
    assert (tmp_path / "0--Parade" / "a_1.txt").read_text().splitlines() == [
        "0--Parade/a_1.jpg",
        "2",
        "1.235 2.000 30.000 40.500 0.9876543",
        "0.000 0.000 1.000 1.000 0.25",
    ]
    assert (tmp_path / "1--B" / "empty.txt").read_text() == "1--B/empty.jpg\n0\n"


@settings(max_examples=40, deadline=None)
@given(boxes=st.data(), count=st.integers(0, 6))
def test_reads_what_it_wrote(tmp_path_factory, boxes, count):
    found = np.column_stack(
        [
            boxes.draw(arrays(np.float64, (count, 4), elements=COORDINATE)),
            boxes.draw(arrays(np.float64, (count,), elements=SCORE)),
        ]
    )
    folder = tmp_path_factory.mktemp("submission")
    write_submission(folder, {"E/n": found})
    detections, missing = read_submission(folder, ["E/n"])
    assert missing == []
    assert detections["E/n"].shape == (count, 5)
    np.testing.assert_allclose(detections["E/n"][:, :4], found[:, :4], atol=0.0005001)
    np.testing.assert_array_equal(detections["E/n"][:, 4].astype(np.float32), found[:, 4].astype(np.float32))


def test_takes_what_others_write(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("whatever.png\r\n2\r\n1 2 3 4 0.5 \r\n10\t20\t30\t40\t-1.5e-1\r\n\r\n")
    np.testing.assert_array_equal(read_file(path), [[1, 2, 3, 4, 0.5], [10, 20, 30, 40, -0.15]])


def test_missing_files_are_told_apart(tmp_path):
    write_submission(tmp_path, {"E/a": np.zeros((0, 5))})
    detections, missing = read_submission(tmp_path, ["E/a", "E/b"])
    assert list(detections) == ["E/a"]
    assert missing == ["E/b"]
    with pytest.raises(InputError, match="no file for any of the 1 images, such as E/c.txt"):
        read_submission(tmp_path, ["E/c"])
    with pytest.raises(InputError, match="no such folder of predictions"):
        read_submission(tmp_path / "none", ["E/a"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a.txt:2: 'the end of the file'; expected the number"),
        ("a\nmany\n", r"a.txt:2: 'many'"),
        ("a\n-1\n", r"a.txt:2: '-1'"),
        ("a\n2\n1 2 3 4 0.5\n", r"a.txt:2: announces 2 detections; 1 lines follow"),
        ("a\n1\n1 2 3 4 0.5\n1 2 3 4 0.5\n", r"announces 1 detections; 2 lines"),
        ("a\n2\n1 2 3 4 0.5\n1 2 3 4\n", r"a.txt:4: '1 2 3 4'"),
        ("a\n1\n1 2 x 4 0.5\n", r"a.txt:3: "),
        ("a\n1\n1 2 nan 4 0.5\n", r"a.txt:3: "),
        ("a\n1\n1 2 -3 4 0.5\n", r"a.txt:3: .* not negative"),
    ],
)
def test_malformed_lines_are_named(tmp_path, text, message):
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_file(path)


def test_a_binary_file_is_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="a.txt: not a text file"):
        read_file(tmp_path / "a.txt")
