import builtins

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from made_sets import write_ground_truth
from rnnpool.errors import InputError
from rnnpool.eval.wider_truth import read_ground_truth

FACES = {"0--A/a_1": [(1, 2, 3, 4), (5.5, 6, 7, 8)], "0--A/a_2": [(1, 1, 2, 2)], "7--B/b": [(0, 0, 9, 9)]}
COUNTED = {"easy": {"0--A/a_1": [1], "0--A/a_2": [], "7--B/b": []}, "medium": {"0--A/a_1": [0, 1]}}


def test_reads_what_was_written(tmp_path):
    write_ground_truth(tmp_path / "ground_truth", FACES, COUNTED)
    truth = read_ground_truth(tmp_path)
    assert truth.names == list(FACES)
    for boxes, expected in zip(truth.boxes, FACES.values(), strict=True):
        np.testing.assert_array_equal(boxes, expected)
    assert [flags.tolist() for flags in truth.counted["easy"]] == [[False, True], [False], [False]]
    assert [flags.tolist() for flags in truth.counted["hard"]] == [[True, True], [True], [True]]


def test_finds_the_tools_as_they_unpack(tmp_path):
    write_ground_truth(tmp_path / "eval_tools" / "ground_truth", FACES)
    assert len(read_ground_truth(tmp_path).names) == 3


def test_a_part_keeps_levels(tmp_path):
    write_ground_truth(tmp_path / "ground_truth", FACES, COUNTED)
    part = read_ground_truth(tmp_path).part([0, 2])
    assert part.names == ["0--A/a_1", "7--B/b"]
    assert [len(boxes) for boxes in part.boxes] == [2, 1]
    assert [flags.tolist() for flags in part.counted["easy"]] == [[False, True], [False]]


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match="ground_truth/wider_easy_val.mat"):
        read_ground_truth(tmp_path)
    write_ground_truth(tmp_path / "ground_truth", FACES)
    (tmp_path / "ground_truth" / "wider_hard_val.mat").unlink()
    with pytest.raises(InputError, match="wider_hard_val.mat: no such file"):
        read_ground_truth(tmp_path)


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file, not", b"x" * 1000])
def test_damaged_files_are_named(tmp_path, content):
    write_ground_truth(tmp_path / "ground_truth", FACES)
    (tmp_path / "ground_truth" / "wider_medium_val.mat").write_bytes(content)
    with pytest.raises(InputError, match="wider_medium_val.mat: not a readable .mat file"):
        read_ground_truth(tmp_path)


def test_a_truncated_file_is_named(tmp_path):
    write_ground_truth(tmp_path / "ground_truth", FACES)
    path = tmp_path / "ground_truth" / "wider_medium_val.mat"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="wider_medium_val.mat"):
        read_ground_truth(tmp_path)


def test_a_missing_field_is_named(tmp_path):
    write_ground_truth(tmp_path / "ground_truth", FACES)
    path = tmp_path / "ground_truth" / "wider_easy_val.mat"
    content = {key: value for key, value in loadmat(path).items() if key[0] != "_" and key != "gt_list"}
    savemat(path, content)
    with pytest.raises(InputError, match="has no field 'gt_list'; it has .*face_bbx_list"):
        read_ground_truth(tmp_path)


def test_numbers_of_no_face_are_named(tmp_path):
    write_ground_truth(tmp_path / "ground_truth", FACES, {"easy": {"0--A/a_2": [3]}})
    with pytest.raises(InputError, match="0--A/a_2 counts faces 4 to 4; it has 1"):
        read_ground_truth(tmp_path)


def test_cells_of_another_layout_are_named(tmp_path):
    write_ground_truth(tmp_path / "ground_truth", FACES)
    path = tmp_path / "ground_truth" / "wider_easy_val.mat"
    content = {key: value for key, value in loadmat(path).items() if key[0] != "_"}
    savemat(path, {**content, "gt_list": np.arange(2.0)})
    with pytest.raises(InputError, match="wider_easy_val.mat: its cells are not nested"):
        read_ground_truth(tmp_path)


def test_levels_that_disagree_are_named(tmp_path):
    write_ground_truth(tmp_path / "ground_truth", FACES)
    write_ground_truth(tmp_path / "other", {**FACES, "7--B/b": []})
    (tmp_path / "other" / "wider_hard_val.mat").rename(tmp_path / "ground_truth" / "wider_hard_val.mat")
    with pytest.raises(InputError, match="wider_hard_val.mat: lists other images or faces"):
        read_ground_truth(tmp_path)


def test_without_scipy_the_extra_is_named(tmp_path, monkeypatch):
    write_ground_truth(tmp_path / "ground_truth", FACES)
    real = builtins.__import__

    def without_scipy(name, *args, **kwargs):
        if name.split(".")[0] == "scipy":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_scipy)
    with pytest.raises(InputError, match=r"pip install 'rnnpool\[train\]'"):
        read_ground_truth(tmp_path)
