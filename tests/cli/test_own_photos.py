"""What docs/train.md promises: a user's own photos, with boxes in WIDER FACE's layout, train, evaluate and detect."""

import json
from pathlib import Path

import pytest
from PIL import Image

from made_sets import write_wider
from rnnpool.cli import main
from white_squares import square_photo

pytest.importorskip("lightning_fabric")


def test_own_photos_from_training_to_detection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    photos = {f"mine/{i}": square_photo(128, 96, 8 * i, 16, 40) for i in range(4)}
    for split in ("train", "val"):
        write_wider(Path("photos"), photos, {f"mine/{i}": [(8 * i, 16, 40, 40)] for i in range(4)}, split=split)
    for file in Path("photos/ground_truth").iterdir():
        file.unlink()
    recipe = ("face-tiny", "data.extra_csv=null", "data.cache=null", "data.augment.size=64", "train.workers=0")
    budget = ("train.images=8", "train.batch_size=4", "train.device=cpu")
    assert main(["train", *recipe, *budget, "--data", "photos", "--out", "run"]) == 0
    assert "mAP" in capsys.readouterr().out

    weights = ("--weights", "run/best.safetensors")
    assert main(["evaluate", *weights, "--data", "photos", "--json", "figures.json"]) == 0
    assert set(json.loads(Path("figures.json").read_text())["levels"]) == {"mAP"}

    Image.fromarray(photos["mine/0"]).save("photo.png")
    assert main(["detect", *weights, "photo.png", "--threshold", "0", "--json", "faces.json"]) == 0
    assert json.loads(Path("faces.json").read_text())[0]["faces"]
