"""Visual Wake Words from COCO's annotations: the rule of 0.5%, the held-out ids, the folders."""

import json

import pytest

from made_pictures import write_pictures
from rnnpool.cli import main
from rnnpool.data.coco_vww import label_images
from rnnpool.data.image_folder import image_folder


@pytest.fixture
def coco(tmp_path):
    """Six images of 40 x 32 = 1,280 pixels; a person must have more than 6.4 of them."""
    write_pictures(tmp_path, {"red": 6})
    people = {0: [6.4], 1: [6.5], 2: [1.0, 600.0], 3: [], 4: [6.0, 6.0], 5: [100.0]}
    annotations = {
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
        "images": [
            {"id": 100 + number, "file_name": f"picture-{number}.png", "width": 40, "height": 32} for number in people
        ],
        "annotations": [
            {"image_id": 100 + number, "category_id": 1, "area": area}
            for number, areas in people.items()
            for area in areas
        ]
        + [{"image_id": 103, "category_id": 18, "area": 1000.0}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(annotations))
    (tmp_path / "minival.txt").write_text("102\n103\n")
    return tmp_path


def test_a_person_counts_from_half_a_percent_on(coco):
    labels = label_images(json.loads((coco / "instances.json").read_text()))
    assert [positive for _, positive in labels.values()] == [False, True, True, False, False, True]


def test_the_folders_train_like_any_other(coco, capsys):
    arguments = [
        "vww",
        "--annotations",
        str(coco / "instances.json"),
        "--images",
        str(coco / "red"),
        "--out",
        str(coco / "vww"),
    ]
    for _ in range(2):  # again is harmless
        assert main([*arguments, "--minival", str(coco / "minival.txt")]) == 0
    assert capsys.readouterr().out.splitlines()[:4] == [
        "train no_person 2",
        "train person    2",
        "val   no_person 1",
        "val   person    1",
    ]
    images = image_folder(coco / "vww", "train")
    assert images.classes == ("no_person", "person")
    assert [name.split("/")[-1] for name in images.names] == [f"picture-{n}.png" for n in (0, 4, 1, 5)]
    assert images.region(0).shape == (32, 40, 3)


def test_what_is_refused(coco, capsys):
    arguments = ["vww", "--images", str(coco / "red"), "--out", str(coco / "vww"), "--annotations"]
    assert main([*arguments, str(coco / "minival.txt")]) == 2
    assert main([*arguments, str(coco / "instances.json"), "--area", "2"]) == 2
    (coco / "red" / "picture-3.png").unlink()
    assert main([*arguments, str(coco / "instances.json")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "cannot be read as COCO's annotations" in errors[0]
    assert "--area 2" in errors[1]
    assert "image picture-3.png is in none of" in errors[2]
