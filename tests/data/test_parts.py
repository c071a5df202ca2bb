"""Held out by a seed: the same pictures whatever they are read from, and however many there are."""

import shutil

from made_pictures import write_pictures
from rnnpool.data.parts import hold_out, open_part
from rnnpool.data.shards import pack


def test_shards_hold_out_what_their_folder_does(tmp_path):
    write_pictures(tmp_path / "pictures", {"red": 30, "green": 20, "blue": 10})
    pack(tmp_path / "pictures", ".", tmp_path / "shards", seed=5)
    from_folder = hold_out(tmp_path / "pictures", 0.2, 3)
    from_shards = hold_out(tmp_path / "shards", 0.2, 3)
    for ours, theirs in zip(from_folder[:2], from_shards[:2], strict=True):
        assert set(ours.names) == set(theirs.names)
    assert len(from_folder[1]) == 12
    order = from_shards[2]
    assert order is not None
    assert sorted(order(48, 0).tolist()) == list(range(48))
    assert from_folder[2] is None


def test_a_picture_more_leaves_the_others_where_they_are(tmp_path):
    write_pictures(tmp_path, {"red": 30, "green": 20})
    before = set(hold_out(tmp_path, 0.2, 0)[1].names)
    first = open_part(tmp_path, ".")[0].names[0]
    shutil.copy(tmp_path / first, tmp_path / "red" / "0 one more.png")
    after = set(hold_out(tmp_path, 0.2, 0)[1].names)
    assert len(before - after) <= 1
