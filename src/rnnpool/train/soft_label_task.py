"""Distillation: a classifier learns the probabilities that a teacher gave, from tables (rnnpool.data.soft_labels).

The loss is the cross-entropy with the teacher's probabilities (Hinton, Vinyals, Dean 2015, at temperature 1).
"""

from dataclasses import dataclass, field
from pathlib import Path

from rnnpool.data.classification import ImageAugment
from rnnpool.data.labelled import LabelledImages
from rnnpool.data.soft_labels import image_names, soft_labels
from rnnpool.data.view import View
from rnnpool.errors import InputError
from rnnpool.train.classification_task import BatchRecipe, ClassificationTask
from rnnpool.train.recipe import Recipe


@dataclass(frozen=True)
class DataRecipe(View, BatchRecipe):
    """Tables and images are relative to ``--data``; tables may also be absolute paths."""

    tables: tuple[str, ...] = ()  # to train on
    prefixes: tuple[str, ...] = ("",)  # only rows whose path begins with one of these
    val_tables: tuple[str, ...] = ()  # to measure the agreement with the teacher on
    val_prefixes: tuple[str, ...] = ("",)  # images of these must not be trained on
    columns: dict[str, float] = field(default_factory=dict)  # of probabilities -> their weight in the target
    classes: tuple[str, str] = ("no", "yes")  # what probability 0 and 1 mean
    cache: str | None = None  # folder for decoded pixels, below --data; None: decoded at every access
    augment: ImageAugment = field(default_factory=ImageAugment)


def _open(data: DataRecipe, root: Path, tables: tuple[str, ...], prefixes: tuple[str, ...]) -> LabelledImages:
    return soft_labels(
        [root / table for table in tables],
        root,
        prefixes=prefixes,
        columns=data.columns,
        classes=data.classes,
        channels=data.channels,
        cache=root / data.cache if data.cache else None,
    )


def create(recipe: Recipe, root: Path) -> ClassificationTask:
    data: DataRecipe = recipe.data
    if not data.tables or not data.val_tables:
        raise InputError("data.tables and data.val_tables must each name a table of soft labels")
    train = _open(data, root, data.tables, data.prefixes)
    val = _open(data, root, data.val_tables, data.val_prefixes)
    shared = image_names(train) & image_names(val)
    if shared:
        raise InputError(f"{len(shared)} images are both trained and evaluated on, such as {min(shared)}")
    return ClassificationTask(recipe, train, val, data.augment)
