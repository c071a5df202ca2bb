"""Training through the rounding of integers: it regains what rounding loses, resumes exactly, and ships what it saw."""

import copy
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from made_pictures import write_pictures
from made_sets import write_wider
from rnnpool.cli import main
from rnnpool.errors import InputError
from rnnpool.integer.convert import convert_calibrated
from rnnpool.integer.detector import IntDetector
from rnnpool.integer.module import IntModule, from_bytes, viewed
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.storage import load_network
from rnnpool.models import create_model
from rnnpool.nn import RNNPool2d
from rnnpool.train.loop import train
from rnnpool.train.recipe import RoundingRecipe, load_recipe, parse_recipe
from rnnpool.train.rounding import calibrate, make_rounding
from rnnpool.train.task import Sight
from rnnpool.train.tasks import create_task
from small_face import NAME, register_small_face
from stopped_training import stop_at


class Small(nn.Module):
    """RNNPool, and 1x1 convolutions with enough weights for 4 bits."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = RNNPool2d(1, 6, 8, 4, 4, init="orthogonal")
        self.norm = nn.BatchNorm2d(32)
        self.wide = nn.Conv2d(32, 64, 1)
        self.middle = nn.Conv2d(64, 64, 1)
        self.back = nn.Conv2d(64, 32, 1)
        self.out = nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.middle(torch.relu(self.wide(self.norm(self.pool(x))))))
        return self.out(torch.relu(self.back(x)))


def noise(count: int, seed: int = 0) -> list[np.ndarray]:
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 1, 4, 4), dtype=np.uint8)
    return list(coarse.repeat(5, axis=2).repeat(5, axis=3))


def small(seed: int = 0) -> Small:
    torch.manual_seed(seed)
    module = Small()
    for layer in (module.wide, module.middle, module.back, module.out):
        nn.init.kaiming_normal_(layer.weight)
    module.norm.momentum = None
    with torch.no_grad():
        module(from_bytes(noise(16)))
    return module.eval()


def error(network: IntNetwork, module: nn.Module, images: list[np.ndarray]) -> float:
    """Of the simulator's outputs, relative to how much the module's vary from pixel to pixel."""
    with torch.no_grad():
        wanted = module(from_bytes(images))
    spread = wanted - wanted.mean((0, 2, 3), keepdim=True)
    return float((IntModule(network)(from_bytes(images)) - wanted).norm() / spread.norm())


def test_training_regains_most_of_what_four_bits_lose() -> None:
    teacher, student = small(), small()
    sight = Sight(noise(16), (1, 20, 20))
    calibrated = calibrate(student, sight, RoundingRecipe(state_bits=8, nibbles=25))
    held_out = noise(8, seed=1)
    lost = error(convert_calibrated(student, sight.shape, sight.images, calibrated).network, teacher, held_out)

    make_rounding(student, calibrated, sight)
    optimizer = torch.optim.Adam(student.parameters(), lr=2e-3)
    for step in range(150):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - step / 150)
        images = from_bytes(noise(16, seed=100 + step))
        with torch.no_grad():
            wanted = teacher(images)
        F.mse_loss(student(images), wanted).backward()
        optimizer.step()
        optimizer.zero_grad()

    plain = Small()
    plain.load_state_dict(student.state_dict())  # the names are those of the network as it was
    regained = error(convert_calibrated(plain, sight.shape, sight.images, calibrated).network, teacher, held_out)
    assert lost > 0.2
    assert regained < 0.4 * lost


def test_what_is_evaluated_is_what_the_integers_compute() -> None:
    module = small()
    sight = Sight(noise(8), (1, 20, 20), mean=(100.0,), std=(60.0,))
    calibrated = calibrate(module, sight, RoundingRecipe())
    make_rounding(module, calibrated, sight)
    assert isinstance(module, Small)
    bytes_ = from_bytes(sight.images) * 128 + 128
    twin = copy.deepcopy(module)
    with torch.no_grad():
        outputs = module((bytes_ - 100) / 60)
        assert torch.equal(twin((bytes_ - 100) / 60), outputs)
        for parameter in twin.parameters():
            parameter.mul_(1.05)  # seen by the copy, which computes with its own
        assert not torch.equal(twin((bytes_ - 100) / 60), outputs)
        assert torch.equal(module((bytes_ - 100) / 60), outputs)
    plain = Small()
    plain.load_state_dict(module.state_dict())
    network = convert_calibrated(viewed(plain, sight.mean, sight.std), sight.shape, sight.images, calibrated).network
    exact = IntModule(network)(from_bytes(sight.images))
    assert (outputs - exact).norm() < 2e-3 * exact.norm()
    with pytest.raises(InputError, match="RoundingSmall rounds already"):
        make_rounding(module, calibrated, sight)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    root = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    images, boxes = {}, {}
    for number in range(8):
        pixels = rng.integers(60, 120, (48, 64, 3), dtype=np.uint8)
        boxes[f"0--Squares/image{number}"] = [(8 + number, 10, 20, 20)]
        pixels[10:30, 8 + number : 28 + number] = 230
        images[f"0--Squares/image{number}"] = pixels
    for split in ("train", "val"):
        write_wider(root / "WIDER_FACE", images, boxes, split=split)
    return root


def test_the_command_line_trains_and_converts_a_detector(faces, tmp_path, monkeypatch, capsys) -> None:
    register_small_face(monkeypatch)
    common = ["--data", str(faces), f"model.name={NAME}", "data.extra_csv=null", "data.cache=null"]
    common += ["data.augment.size=64", "train.batch_size=8", "train.workers=0", "train.device=cpu"]
    assert main(["train", "face-tiny", *common, "--out", str(tmp_path / "float"), "train.images=64"]) == 0
    start = tmp_path / "float" / "best.safetensors"
    fine = [f"model.init_from={start}", "train.quantize.state_bits=8", "train.images=32", "train.lr=1e-4"]
    assert main(["train", "face-tiny", *common, "--out", str(tmp_path / "qat"), *fine]) == 0
    assert "rounded to integers, ranges by" in capsys.readouterr().out

    weights, out = tmp_path / "qat" / "best.safetensors", tmp_path / "int8.safetensors"
    folder = str(faces / "WIDER_FACE" / "WIDER_train")
    assert main(["quantize", NAME, "--weights", str(weights), "--calibrate", folder, "--out", str(out)]) == 0
    assert "dB (kept) in training" in capsys.readouterr().out
    network = load_network(out)
    assert network.metadata["state_bits"] == "8"
    assert network.metadata["ranges_of"] == "training"
    recipe = load_recipe(tmp_path / "qat" / "recipe.yaml")
    metrics = json.loads(safe_open(weights, framework="pt").metadata()["metrics"])
    exact = create_task(recipe, faces).evaluate(IntDetector(network, create_model(NAME).head))
    assert metrics == pytest.approx(exact, abs=0.02)

    other = ["--ranges", "minmax", "--state-bits", "16", "--out", str(out)]
    assert main(["quantize", NAME, "--weights", str(weights), "--calibrate", folder, *other]) == 0
    assert load_network(out).metadata["ranges"] == "minmax"
    assert "ranges_of" not in load_network(out).metadata


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    write_pictures(root / "train", {"red": 12, "green": 12, "blue": 12}, seed=0)
    write_pictures(root / "val", {"red": 5, "green": 5, "blue": 5}, seed=1)
    return root


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    """Weights of a float network that tells the colours apart."""
    out = tmp_path_factory.mktemp("float")
    recipe = classifier_recipe(None, quantize=None, images=960)
    train(recipe, create_task(recipe, pictures), out)
    return out / "best.safetensors"


def classifier_recipe(start, **settings):
    base = {"images": 480, "batch_size": 12, "optimizer": "adamw", "lr": 1e-2, "device": "cpu", "threads": 1}
    model = {"name": "pooled-rnnpool", "options": {"hidden": 4}, "init_from": str(start) if start else None}
    return parse_recipe(
        {
            "task": "classification",
            "model": model,
            "data": {"size": 12, "mean": [120, 110, 100], "std": [60], "augment": {"crop_scale": [0.3, 1]}},
            "train": base | {"quantize": True, "ema_decay": 0.9, "evaluate_every": 120} | settings,
        }
    )


def test_a_stopped_run_goes_on_to_the_same_bits(pictures, trained, tmp_path) -> None:
    recipe = classifier_recipe(trained)
    whole = train(recipe, create_task(recipe, pictures), tmp_path / "whole")
    assert whole.metrics["top1"] > 0.8
    task = stop_at(create_task(recipe, pictures), 17)
    assert train(recipe, task, tmp_path / "stopped").step == 17
    train(recipe, create_task(recipe, pictures), tmp_path / "stopped", resume=True)
    first, second = (load_file(tmp_path / name / "final.safetensors") for name in ("whole", "stopped"))
    assert first.keys() == create_model("pooled-rnnpool", num_classes=3, hidden=4, input_size=12).state_dict().keys()
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    entries = [
        safe_open(tmp_path / name / "final.safetensors", framework="pt").metadata() for name in ("whole", "stopped")
    ]
    assert entries[0]["integers"] == entries[1]["integers"]


def test_a_rounded_run_is_no_other_run(pictures, trained, tmp_path) -> None:
    recipe = classifier_recipe(trained, images=24, quantize=False)
    train(recipe, create_task(recipe, pictures), tmp_path)
    recipe = classifier_recipe(trained, images=24)
    with pytest.raises(InputError, match=r"train\.quantize \(was None, is {'state_bits': 16"):
        train(recipe, create_task(recipe, pictures), tmp_path, resume=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "bf16-mixed"}, "train.quantize needs train.precision=32-true, not bf16-mixed"),
        ({"quantize": {"state_bits": 4}}, "train.quantize.state_bits is 4"),
        ({"quantize": {"images": 0}}, "train.quantize has images 0 and nibbles 0"),
        ({"quantize": 8}, "train.quantize must be a mapping"),
    ],
)
def test_what_is_refused(settings, message) -> None:
    with pytest.raises(InputError, match=message):
        classifier_recipe("start.safetensors", **settings)


def test_random_weights_are_refused() -> None:
    with pytest.raises(InputError, match="train.quantize needs model.init_from"):
        classifier_recipe(None)


def test_an_operator_without_integers_is_named() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.SiLU())
    with pytest.raises(InputError, match="silu"):
        calibrate(module, Sight(noise(2), (1, 20, 20)), RoundingRecipe())
