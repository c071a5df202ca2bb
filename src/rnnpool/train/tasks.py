"""The tasks that a recipe's ``task:`` may name."""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from rnnpool.errors import InputError
from rnnpool.train.typed import closest

if TYPE_CHECKING:
    from pathlib import Path

    from rnnpool.train.recipe import Recipe
    from rnnpool.train.task import Task

# name -> module of rnnpool.train with ``DataRecipe`` (the data section's dataclass) and ``create(recipe, root)``
TASKS = {
    "detection": "detection_task",
    "classification": "classification_task",
    "probe": "probe_task",
    "soft_labels": "soft_label_task",
}


def _module(name: str) -> ModuleType:
    if not isinstance(name, str) or name not in TASKS:
        raise InputError(f"unknown task {name!r}: {closest(str(name), sorted(TASKS))}")
    return importlib.import_module(f"rnnpool.train.{TASKS[name]}")


def task_recipe(name: str) -> type:
    """The dataclass of the data section for task ``name``."""
    return _module(name).DataRecipe


def create_task(recipe: "Recipe", root: "Path") -> "Task":
    """The recipe's task on the data under ``root``."""
    return _module(recipe.task).create(recipe, root)
