"""Recipes from YAML with overrides."""

from pathlib import Path

import pytest
import yaml

from rnnpool.errors import InputError
from rnnpool.train.recipe import find_recipe, load_recipe, parse_recipe

MINIMAL = {"task": "detection", "model": {"name": "face-tiny"}, "train": {"images": 320, "nesterov": True}}
RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


@pytest.fixture
def recipe_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(MINIMAL))
    return path


def test_overrides_reach_nested_fields(recipe_file):
    recipe = load_recipe(recipe_file, ["train.lr=2e-3", "data.augment.size=128", "model.options={in_channels: 3}"])
    assert recipe.train.lr == 2e-3
    assert recipe.data.augment.size == 128
    assert recipe.model.options == {"in_channels": 3}


def test_overrides_reach_what_a_file_leaves_empty(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text(
        "task: detection\nmodel: {name: face-tiny, init_from: x}\ndata:\ntrain: {images: 320, quantize: }\n"
    )
    recipe = load_recipe(path, ["data.cache=pixels", "train.quantize.images=8"])
    assert recipe.data.cache == "pixels"
    assert recipe.train.quantize.images == 8


def test_mapping_and_back(recipe_file):
    recipe = load_recipe(recipe_file, ["train.betas=[0.8, 0.9]"])
    assert parse_recipe(recipe.to_mapping()) == recipe


def test_options_that_came_later_change_no_name_while_they_are_off(recipe_file):
    assert "train.quantize" not in load_recipe(recipe_file).what_it_computes()
    changes = ["train.quantize=true", "model.init_from=start.safetensors"]
    assert load_recipe(recipe_file, changes).what_it_computes()["train.quantize"]["state_bits"] == 16


def test_what_it_computes_leaves_out_how(recipe_file):
    assert "train.workers" not in load_recipe(recipe_file).what_it_computes()
    assert load_recipe(recipe_file).what_it_computes()["train.images"] == 320


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.lr", "must read section.key=value"),
        ("lr=3", "must read section.key=value"),
        ("train.lr=0", "train.lr must be above 0, not 0"),
        ("train.epochs=3", "either train.images or train.epochs"),
        ("train.images=[", "the value is no YAML"),
        ("trian.lr=1", "unknown section trian.*did you mean 'train'"),
        ("data.augment.size=31", r"augment.size is 31"),
        ("task.x=1", "task is no section"),
        ("task=1", "must read section.key=value"),
        ("model.options={1: 2}", "model.options has 1, which is no option"),
        ("model.options={weights: default}", "model.options has 'weights', .*weights: init_from"),
        ("train.betas=[0.9, 1]", "train.betas must be two numbers of at least 0 and below 1"),
        ("train.momentum=0", "train.nesterov must be false where train.momentum is 0"),
    ],
)
def test_wrong_overrides_are_named(recipe_file, override, message):
    with pytest.raises(InputError, match=message):
        load_recipe(recipe_file, [override])


@pytest.mark.parametrize(
    ("task", "message"),
    [("detecting", "unknown task 'detecting'.*did you mean 'detection'"), ("[probe]", r"unknown task \['probe'\]")],
)
def test_unknown_task(tmp_path, task, message):
    path = tmp_path / "x.yaml"
    path.write_text(f"task: {task}\nmodel: {{name: face-tiny}}\n")
    with pytest.raises(InputError, match=message):
        load_recipe(path)


def test_no_recipe(tmp_path):
    with pytest.raises(InputError, match="no recipe 'face-tny'.*did you mean 'face-tiny'"):
        find_recipe("face-tny")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")
    with pytest.raises(InputError, match="broken.yaml cannot be read"):
        load_recipe(broken)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_parse_and_comment(path):
    load_recipe(path)
    assert find_recipe(path.stem) == path
    assert path.read_text().startswith("#")
