"""Tables of a teacher's probabilities become samples with crops; what does not fit is named."""

import numpy as np
import pytest
import torch
from PIL import Image

from rnnpool.data.soft_labels import image_names, soft_labels
from rnnpool.errors import InputError
from rnnpool.train.loop import train
from rnnpool.train.recipe import parse_recipe
from rnnpool.train.task import Batch
from rnnpool.train.tasks import create_task


@pytest.fixture
def root(tmp_path):
    """Pictures with a bright left half; crops of either half, with the teacher's word for it."""
    rng = np.random.default_rng(0)
    crops, wholes = ["path,p_a,p_b,crop_x,crop_y,crop_side"], ["path,p_a,p_b"]
    for part, count in (("train", 12), ("val", 4)):
        for number in range(count):
            pixels = rng.integers(0, 60, (20, 40, 3), dtype=np.uint8)
            pixels[:, :20] += 180
            path = tmp_path / "set" / part / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            name = f"set/{part}/{number}.png"
            crops += [f"{name},0.9,0.7,0,0,20", f"{name},0.05,0.25,20,0,20"]
            wholes += [f"{name},0.5,0.6"]
    (tmp_path / "crops.csv").write_text("\n".join(crops) + "\n")
    (tmp_path / "wholes.csv").write_text("\n".join(wholes) + "\n")
    return tmp_path


def read(root, tables=("crops.csv",), prefixes=("set/train/",), **columns):
    names = [root / table for table in tables]
    return soft_labels(names, root, prefixes=prefixes, columns=columns or {"p_a": 1.0}, classes=("dark", "bright"))


def test_rows_become_samples(root):
    images = read(root, ("crops.csv", "wholes.csv"), p_a=3.0, p_b=1.0)
    assert len(images) == 36
    np.testing.assert_allclose(images.targets[0], [0.15, 0.85], atol=1e-6)  # (3 * 0.9 + 0.7) / 4
    assert images.region(0).shape == (20, 20, 3)
    assert images.region(0).min() >= 180 > 60 > images.region(1).max()
    assert images.region(35).shape == (20, 40, 3)  # no crop in the table: the whole picture
    assert images.names[1] == "set/train/0.png (20, 0, 20)"
    assert image_names(images) == {f"set/train/{number}.png" for number in range(12)}


def test_copies_of_a_name_are_images_of_their_own(root):
    Image.new("RGB", (20, 20)).save(root / "set" / "photo (1).png")
    (root / "copies.csv").write_text("\ufeffpath,p_a,crop_x,crop_y,crop_side\nset/photo (1).png,1,0,0,8\n")
    assert image_names(read(root, ("copies.csv",), ("set/",))) == {"set/photo (1).png"}


def test_a_student_agrees_with_its_teacher(root, tmp_path):
    data = {
        "tables": ["crops.csv"],
        "prefixes": ["set/train/"],
        "val_tables": ["crops.csv"],
        "val_prefixes": ["set/val/"],
    }
    data |= {"columns": {"p_a": 1}, "classes": ["dark", "bright"], "size": 8, "test_crop": 1, "cache": "cache"}
    settings = {"images": 480, "batch_size": 12, "optimizer": "adamw", "lr": 2e-2, "device": "cpu", "threads": 1}
    model = {"name": "pooled-rnnpool", "options": {"hidden": 2}}
    recipe = parse_recipe({"task": "soft_labels", "model": model, "data": data, "train": settings})
    task = create_task(recipe, root)
    model = task.build_model()
    batch = Batch(*task.samples.batch([(0, 0), (0, 1)]), [])
    log_probabilities = model((batch.inputs.float() - 128) / 128).log_softmax(1)
    expected = -(torch.tensor([[0.1, 0.9], [0.95, 0.05]]) * log_probabilities).sum(1).mean()
    torch.testing.assert_close(task.loss(model, batch)["cross_entropy"], expected)
    figures = train(recipe, task, tmp_path / "run").metrics
    assert figures["top1"] == 1.0
    assert figures["sure"] == 1.0  # 0.9 and 0.95
    leaking = parse_recipe(
        {
            "task": "soft_labels",
            "model": recipe.to_mapping()["model"],
            "data": data | {"val_prefixes": ["set/"]},
            "train": settings,
        }
    )
    with pytest.raises(InputError, match="12 images are both trained and evaluated on, such as set/train/0.png"):
        create_task(leaking, root)


def test_what_is_refused(root):
    with pytest.raises(InputError, match="no column 'p_c'; there are path, p_a"):
        read(root, p_c=1.0)
    with pytest.raises(InputError, match="no path in .*crops.csv begins with other/"):
        read(root, prefixes=("other/",))
    with pytest.raises(InputError, match="absent.csv: no such table"):
        read(root, ("absent.csv",))
    for line, message in (
        ("set/train/0.png,1.5,0,0,0,20", "line 2: 1.5 is no probability"),
        ("set/train/0.png,x,0,0,0,20", "line 2: could not convert"),
        ("set/train/0.png,1,0,30,0,20", r"crop \(30, 0, 20\) \(x, y, side\) does not lie in the image"),
        ("set/train/99.png,1,0,0,0,20", "99.png: no such image"),
    ):
        (root / "bad.csv").write_text("path,p_a,p_b,crop_x,crop_y,crop_side\n" + line + "\n")
        with pytest.raises(InputError, match=message):
            read(root, ("bad.csv",))
    (root / "bad.csv").write_text("path,p_a,crop_side\nset/train/0.png,1,20\n")
    with pytest.raises(InputError, match="bad.csv: no column 'crop_x'; there are path, p_a, crop_side"):
        read(root, ("bad.csv",))
