"""Visual Wake Words from COCO's annotations: the rule of 0.5%, the held-out ids, the folders."""

import json

import pytest

from made_pictures import write_pictures
from rnnpool.cli import main
from rnnpool.data.coco_vww import label_images
from rnnpool.data.image_folder import image_folder
from rnnpool.errors import InputError


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


def test_a_crowd_counts_like_a_person(coco):
    annotations = json.loads((coco / "instances.json").read_text())
    crowd = {"id": 7, "image_id": 103, "category_id": 1, "area": 500.0, "iscrowd": 1}
    annotations["annotations"].append(crowd)
    assert label_images(annotations)["picture-3.png"] == (103, True)
    crowd["area"] = 6.0
    assert label_images(annotations)["picture-3.png"] == (103, False)


def test_other_settings_move_links(coco, capsys):
    """An image must not stay where it trained before when it validates now, nor keep its old label."""
    arguments = ["vww", "--annotations", str(coco / "instances.json"), "--images", str(coco / "red")]
    arguments += ["--out", str(coco / "vww")]
    assert main([*arguments, "--minival", str(coco / "minival.txt")]) == 0
    (coco / "other.txt").write_text("100 101")
    assert main([*arguments, "--minival", str(coco / "other.txt"), "--area", "0.1"]) == 0
    assert capsys.readouterr().out.splitlines()[4:] == ["train no_person 3", "train person    1", "val   no_person 2"]
    links = {path.name: path.parent.relative_to(coco / "vww").as_posix() for path in (coco / "vww").rglob("*.png")}
    assert len(list((coco / "vww").rglob("*.png"))) == 6
    assert links == {
        "picture-0.png": "val/no_person",
        "picture-1.png": "val/no_person",
        "picture-2.png": "train/person",
        "picture-3.png": "train/no_person",
        "picture-4.png": "train/no_person",
        "picture-5.png": "train/no_person",
    }


def test_images_that_moved_and_links_to_images_are_linked_by_their_names(coco):
    """As a download's cache keeps them: images are links to files that are called by their checksums."""
    arguments = ["vww", "--annotations", str(coco / "instances.json"), "--out", str(coco / "vww")]
    arguments += ["--minival", str(coco / "minival.txt"), "--images"]
    assert main([*arguments, str(coco / "red")]) == 0
    (coco / "red").rename(coco / "blobs")
    (coco / "links").mkdir()
    for number, path in enumerate(sorted((coco / "blobs").iterdir())):
        (coco / "links" / path.name).symlink_to(path.rename(coco / "blobs" / str(number)))
    assert main([*arguments, str(coco / "links")]) == 0
    found = sorted((coco / "vww").rglob("picture-*.png"))
    assert len(found) == 6
    assert all(path.is_file() for path in found)


def test_folders_within_file_names_keep_images_apart(coco, capsys):
    """a/1.png and b/1.png are two images; those of b validate."""
    annotations = json.loads((coco / "instances.json").read_text())
    annotations["images"] = annotations["images"][:4]
    annotations["annotations"] = [{"image_id": 100 + n, "category_id": 1, "area": 90.0} for n in (0, 2)]
    for number, (image, name) in enumerate(zip(annotations["images"], ("a/1", "a/2", "b/1", "b/2"), strict=True)):
        image["file_name"] = f"./{name}.png"
        (coco / name).parent.mkdir(exist_ok=True)
        (coco / "red" / f"picture-{number}.png").rename(coco / f"{name}.png")
    (coco / "nested.json").write_text(json.dumps(annotations))
    arguments = ["vww", "--annotations", str(coco / "nested.json"), "--images", str(coco), "--out", str(coco / "vww")]
    assert main([*arguments, "--minival", str(coco / "minival.txt")]) == 0
    links = {path.relative_to(coco / "vww").as_posix(): path.resolve() for path in (coco / "vww").rglob("*.png")}
    assert links == {
        "train/person/a__1.png": coco / "a" / "1.png",
        "train/no_person/a__2.png": coco / "a" / "2.png",
        "val/person/b__1.png": coco / "b" / "1.png",
        "val/no_person/b__2.png": coco / "b" / "2.png",
    }


def test_an_image_is_listed_once(coco, capsys):
    path, again = coco / "instances.json", coco / "again.json"
    again.write_text(path.read_text())
    options = ["--images", str(coco / "red"), "--out", str(coco / "vww")]
    assert main(["vww", "--annotations", str(path), "--annotations", str(again), *options]) == 2
    error = capsys.readouterr().err
    assert f"{again}: image picture-0.png would be picture-0.png, which picture-0.png of {path} is" in error
    annotations = json.loads(path.read_text())
    annotations["images"][1]["file_name"] = "picture-0.png"
    with pytest.raises(InputError, match="image picture-0.png is listed twice"):
        label_images(annotations)


def test_a_data_set_without_a_class_is_refused(coco, capsys):
    arguments = ["vww", "--annotations", str(coco / "instances.json"), "--images", str(coco / "red")]
    arguments += ["--out", str(coco / "vww")]
    assert main(arguments) == 2
    assert "train has no image of class 'no_person' (no minival is given" in capsys.readouterr().err
    (coco / "none.txt").write_text("")
    assert main([*arguments, "--minival", str(coco / "none.txt")]) == 2
    assert "val has no image (by the minival)" in capsys.readouterr().err
    (coco / "few.txt").write_text("102\n7\n")
    assert main([*arguments, "--minival", str(coco / "few.txt")]) == 2
    assert "1 of 2 minival ids are in no annotation file (7, ...)" in capsys.readouterr().err


def test_the_recipe_trains_on_it(coco, capsys):
    arguments = ["--annotations", str(coco / "instances.json"), "--images", str(coco / "red")]
    assert main(["vww", *arguments, "--out", str(coco / "vww"), "--minival", str(coco / "minival.txt")]) == 0
    small = ["data.size=32", "train.batch_size=2", "train.epochs=1", "train.workers=0", "train.threads=1"]
    assert main(["train", "vww-coco", "--data", str(coco / "vww"), "--out", str(coco / "run"), *small]) == 0
    assert (coco / "run" / "final.safetensors").is_file()
    assert "4 samples an epoch, 2 steps of 2" in capsys.readouterr().out


def test_what_is_refused(coco, capsys):
    arguments = ["vww", "--images", str(coco / "red"), "--out", str(coco / "vww"), "--annotations"]
    assert main([*arguments, str(coco / "minival.txt")]) == 2
    assert main([*arguments, str(coco / "instances.json"), "--area", "2"]) == 2
    (coco / "red" / "picture-3.png").unlink()
    assert main([*arguments, str(coco / "instances.json")]) == 2
    (coco / "strange.json").write_text(json.dumps({"images": [{"id": 1}], "annotations": [], "categories": []}))
    assert main([*arguments, str(coco / "strange.json")]) == 2
    people = [{"id": 1, "name": "person"}]
    (coco / "strange.json").write_text(json.dumps({"images": [3], "annotations": [], "categories": people}))
    assert main([*arguments, str(coco / "strange.json")]) == 2
    strange = json.loads((coco / "instances.json").read_text())
    strange["annotations"].append({"id": 9, "image_id": 7, "category_id": 1, "area": 5.0})
    (coco / "strange.json").write_text(json.dumps(strange))
    assert main([*arguments, str(coco / "strange.json")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "the annotations have no category 'person'" in errors[3]
    assert "none of COCO's instances_*.json, of an entry: TypeError(" in errors[4]
    assert "annotation 9 is of image 7, which is not listed" in errors[5]
    assert "cannot be read as COCO's annotations" in errors[0]
    assert "--area 2" in errors[1]
    assert "image picture-3.png is in none of" in errors[2]
