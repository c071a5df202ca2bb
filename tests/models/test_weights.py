"""Weights on disk: what goes in comes out, and every file that does not fit is refused by name."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from rnnpool import shipped
from rnnpool.errors import InputError
from rnnpool.models import create_model, load_weights, save_weights


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(1)
    model = create_model("face-m4")
    path = tmp_path / "face-m4.safetensors"
    save_weights(model, path, {"recipe": "{}"})
    return model, path


def rewrite(path, change, model="face-m4"):
    state = load_file(path)
    change(state)
    save_file(state, path, metadata={"model": model})


def test_round_trip(saved):
    model, path = saved
    torch.manual_seed(2)
    other = create_model("face-m4")
    metadata = load_weights(other, path)
    assert metadata == {"model": "face-m4", "recipe": "{}"}
    for (name, ours), theirs in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name


def test_create_model_takes_a_path(saved):
    model, path = saved
    loaded = create_model("face-m4", weights=path)
    image = torch.zeros(1, 1, 64, 64)
    assert torch.equal(loaded.eval()(image)[0], model.eval()(image)[0])


def test_a_file_says_how_its_network_is_built(tmp_path):
    path = tmp_path / "colour.safetensors"
    save_weights(create_model("face-m4", in_channels=3), path, {"model_options": '{"in_channels": 3}'})
    assert create_model("face-m4", weights=path).in_channels == 3
    with pytest.raises(InputError, match=r"\(4, 3, 3, 3\) in the file, \(4, 1, 3, 3\) in model 'face-m4'"):
        create_model("face-m4", weights=path, in_channels=1)  # who asks goes before the file
    with pytest.raises(InputError, match="weights of model 'face-m4', not of 'mlperf_vww'"):  # which has no such option
        create_model("mlperf_vww", weights=path)


def test_what_training_began_with_is_not_needed_again(tmp_path):
    path, options = tmp_path / "net.safetensors", {"num_classes": 2, "backbone_weights": "/elsewhere/resnet18.pth"}
    save_weights(create_model("mobilenet_v1_025", num_classes=2), path, {"model_options": json.dumps(options)})
    create_model("mobilenet_v1_025", weights=path)


@pytest.mark.parametrize(
    ("entry", "message"),
    [("{", "entry 'model_options' is damaged"), ("[3]", r"entry 'model_options' is \[3\]; it must be a dict")],
)
def test_damaged_entries(saved, entry, message):
    model, path = saved
    save_weights(model, path, {"model_options": entry})
    with pytest.raises(InputError, match=f"face-m4.safetensors: its {message}"):
        create_model("face-m4", weights=path)


def test_the_loss_does_not_change_what_a_file_holds(saved):
    """Weights trained with one loss load into a network made for the other."""
    _, path = saved
    load_weights(create_model("face-m4", training="s3fd"), path)


def test_another_models_file(saved):
    _, path = saved
    with pytest.raises(InputError, match="holds weights of model 'face-m4', not of 'face-tiny'"):
        load_weights(create_model("face-tiny"), path)


def test_a_file_that_names_no_model(saved):
    model, path = saved
    save_file(load_file(path), path)
    with pytest.raises(InputError, match="not named"):
        load_weights(model, path)


@pytest.mark.parametrize("keep", [0, 4, 100, 5000, -1])
def test_a_truncated_file(saved, keep):
    model, path = saved
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"face-m4.safetensors: not a whole safetensors file"):
        load_weights(model, path)


def test_a_file_of_something_else(saved):
    model, path = saved
    path.write_bytes(b"\x89PNG\r\n" * 100)
    with pytest.raises(InputError, match="not a whole safetensors file"):
        load_weights(model, path)


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match="there is no such weights file"):
        load_weights(create_model("face-m4"), tmp_path / "none.safetensors")


def test_a_missing_tensor(saved):
    model, path = saved
    rewrite(path, lambda state: state.pop("stages.0.1.rnn1.raw_zeta"))
    with pytest.raises(InputError, match=r"lacks tensor 'stages.0.1.rnn1.raw_zeta'"):
        load_weights(model, path)


def test_a_tensor_too_many(saved):
    model, path = saved
    rewrite(path, lambda state: state.update(extra=torch.zeros(3)))
    with pytest.raises(InputError, match="has a tensor 'extra'"):
        load_weights(model, path)


def test_a_tensor_of_another_shape(saved):
    _, path = saved
    three = create_model("face-m4", in_channels=3)
    with pytest.raises(InputError, match=r"\(4, 1, 3, 3\) in the file, \(4, 3, 3, 3\) in model 'face-m4'"):
        load_weights(three, path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite(saved, value):
    model, path = saved
    before = model.stages[2][0].body[0][0].weight.clone()
    rewrite(path, lambda state: state["stages.2.0.body.0.0.weight"].fill_(value))
    with pytest.raises(InputError, match=r"'stages.2.0.body.0.0.weight' holds values that are not finite"):
        load_weights(model, path)
    assert torch.equal(model.stages[2][0].body[0][0].weight, before)  # nothing was loaded


def test_only_registered_models_have_files(tmp_path):
    with pytest.raises(InputError, match="was not made by create_model"):
        save_weights(torch.nn.Linear(2, 2), tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_shipped_weights_are_looked_up_by_name(tmp_path, monkeypatch, saved):
    model, path = saved
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "face-m4.safetensors").write_bytes(path.read_bytes())
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "src" / "rnnpool")  # a checkout's layout
    loaded = create_model("face-m4", weights="default")
    assert torch.equal(loaded.stages[0][0][0].weight, model.stages[0][0][0].weight)
    with pytest.raises(InputError, match="no trained weights are shipped for model 'face-a'"):
        create_model("face-a", weights="default")


def test_a_file_is_as_readable_as_any_other(saved):
    _, path = saved
    ordinary = path.with_name("ordinary")
    ordinary.touch()
    assert path.stat().st_mode == ordinary.stat().st_mode
