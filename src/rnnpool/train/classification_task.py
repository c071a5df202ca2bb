"""Training of image classifiers on folders of pictures (or shards of them), one folder a class."""

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnpool.data.classification import (
    CentreImages,
    ImageAugment,
    TrainingImages,
    least_side,
    normalise_pixels,
)
from rnnpool.data.device_views import DeviceViews, ViewBatches
from rnnpool.data.digest import digest
from rnnpool.data.labelled import LabelledImages
from rnnpool.data.parts import data_folder, has_part, hold_out, open_part
from rnnpool.data.resident import Crops, use_device
from rnnpool.data.unreadable import all_unreadable_named
from rnnpool.data.view import View
from rnnpool.errors import InputError
from rnnpool.eval.classifier import ClassifierScores, evaluate_classifier
from rnnpool.integer.images import evenly_spaced
from rnnpool.models import model_info, save_weights
from rnnpool.train.initial import initial_model
from rnnpool.train.recipe import ModelRecipe, Recipe
from rnnpool.train.stream import Order, completed_batches, shuffled, stream_batches
from rnnpool.train.task import Batch, Plan, Sight

_CLASSES_SHOWN = 20  # one by one; more would fill the screen


@dataclass(frozen=True)
class BatchRecipe:
    """How batches are made, and what softens their targets for the cross-entropy."""

    crops: Crops = "auto"  # where samples are made; auto: on a GPU that can hold the cached images
    label_smoothing: float = 0.0
    mixup: float = 0.0  # alpha of the Beta distribution (Zhang et al. 2018); 0: off
    cutmix: float = 0.0  # likewise (Yun et al. 2019); with both, each batch gets one of the two


@dataclass(frozen=True)
class DataRecipe(View, BatchRecipe):
    """What a classifier is trained on; folders are relative to ``--data``."""

    folder: str = "."  # "." or absent: --data is the data set itself
    train: str = "train"  # the folder of classes to train on, below ``folder``
    val: str = "val"  # and to evaluate on
    val_share: float = 0.2  # where there is no folder ``train``: share of the pictures that evaluate
    split_seed: int = 0  # draws them
    cache: str | None = None  # folder for decoded pixels, below --data; None: decoded at every access
    augment: ImageAugment = field(default_factory=ImageAugment)


class ClassificationTask:
    """See :class:`rnnpool.train.task.Task`; base class of the tasks that train classifiers otherwise."""

    main_metric = "top1"

    def __init__(
        self,
        recipe: Recipe,
        train: LabelledImages,
        val: LabelledImages,
        augment: ImageAugment,
        order: Order = shuffled,
    ) -> None:
        if len(train.classes) < 2:
            held = f"only the class {train.classes[0]!r}" if train.classes else "no class"
            raise InputError(f"the training data has {held}; a classifier needs two or more, a folder of images each")
        self.recipe, self.data, self.classes, self.order = recipe, recipe.data, train.classes, order
        self.model_recipe = fitted_model(recipe.model, len(self.classes), self.data)
        self.samples = TrainingImages(train, augment, self.data.size, recipe.train.seed)
        self.val = CentreImages(val, self.data.size, self.data.test_crop)
        self.epoch_length = len(self.samples)
        self.data_digest = digest(self.classes, train.names, val.names)
        self._mixers = _mixers(self.data, len(self.classes))

    def about_data(self) -> str:
        return describe_classes(self.samples.images, self.val.images)

    def build_model(self) -> nn.Module:
        return initial_model(self.model_recipe)

    def batches(self, plan: Plan) -> Iterator[Batch]:
        with all_unreadable_named(self.samples.images.pixels, self.val.images.pixels):
            if use_device(self.data.crops, [self.samples.images.pixels], plan.device):
                packed = stream_batches(ViewBatches(self.samples), plan, self.order)
                yield from completed_batches(packed, DeviceViews(self.samples, plan.device))
            else:
                yield from stream_batches(self.samples, plan, self.order)

    def describe(self, key: Any) -> str:
        epoch, index = key
        return f"{self.samples.images.names[index]} (epoch {epoch})"

    def loss(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        inputs, targets = normalise_pixels(batch.inputs, self.data.mean, self.data.std), batch.targets
        if self._mixers:
            chosen = int(torch.randint(len(self._mixers), ()))
            inputs, targets = self._mixers[chosen](inputs, targets)
        logits = model(inputs)
        return {"cross_entropy": F.cross_entropy(logits, targets, label_smoothing=self.data.label_smoothing)}

    def scores(self, model: nn.Module) -> ClassifierScores:
        """Everything that is measured on the held-out images; ``model`` is in eval mode."""
        data = self.data
        with all_unreadable_named(self.samples.images.pixels, self.val.images.pixels):
            return evaluate_classifier(model, self.val, mean=data.mean, std=data.std, workers=self.recipe.train.workers)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return self.scores(model).metrics

    def sight(self, count: int) -> Sight:
        data = self.data
        centres = CentreImages(self.samples.images, data.size, data.test_crop)
        images = [centres.batch([(0, index)])[0][0].numpy() for index in evenly_spaced(count, len(centres))]
        return Sight(images, (data.channels, data.size, data.size), data.mean, data.std)

    def export(self, model: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
        """The weights, with all that using them takes: the classes, the network's options, and how it sees an image."""
        model.registry_name = self.recipe.model.name  # type: ignore[assignment]
        view = {name: getattr(self.data, name) for name in View.__dataclass_fields__}
        entries = {"classes": self.classes, "model_options": self.model_recipe.options, "view": view}
        save_weights(model, path, {**metadata, **{key: json.dumps(value) for key, value in entries.items()}})


def describe_classes(train: LabelledImages, val: LabelledImages) -> str:
    """How many pictures there are to train and to evaluate on: a folder that is no class, or missing, shows."""
    counts = f"{len(train)} + {len(val)}"
    if train.targets.ndim == 1 and len(train.classes) <= _CLASSES_SHOWN:
        both = (np.bincount(part.targets, minlength=len(train.classes)) for part in (train, val))
        counts = ", ".join(f"{name} {a} + {b}" for name, a, b in zip(train.classes, *both, strict=True))
    return f"{len(train.classes)} classes, pictures to train + to evaluate on: {counts}"


def fitted_model(recipe: ModelRecipe, num_classes: int, view: View) -> ModelRecipe:
    """The recipe's network for this many classes, channels and pixels, as far as it has such options.

    Raises:
        InputError: a network that is no classifier, or options of the recipe that contradict the data.
    """
    info = model_info(recipe.name)
    if info.task != "classification":
        raise InputError(f"model {recipe.name!r} is made for {info.task}, not for classification")
    given = {"num_classes": num_classes, "in_channels": view.channels}
    for name, value in given.items():
        if recipe.options.get(name, value) != value:
            raise InputError(f"model.options.{name} is {recipe.options[name]}, the data have {value}")
    accepted = inspect.signature(info.builder).parameters
    fitting = {name: value for name, value in (given | {"input_size": view.size}).items() if name in accepted}
    return replace(recipe, options={**fitting, **recipe.options})


def open_images(data: DataRecipe, root: Path) -> tuple[LabelledImages, LabelledImages, Order]:
    """The images to train on and to evaluate on, and the order to train in."""
    folder = data_folder(root, data.folder)
    seen: dict[str, Any] = {
        "channels": data.channels,
        "least_side": least_side(data.augment, data.size, data.test_crop),
        "cache": root / data.cache if data.cache else None,
    }
    if not has_part(folder, data.train):
        if data.train != DataRecipe.train:
            raise InputError(f"{folder}: there is no {data.train}/ to train on (data.train names it)")
        train, val, order = hold_out(folder, data.val_share, data.split_seed, **seen)
        return train, val, order or shuffled
    if not has_part(folder, data.val):
        raise InputError(
            f"{folder}: there is {data.train}/ to train on, but no {data.val}/ to evaluate on (data.val names "
            f"another; where there is neither, data.val_share of the pictures are held out)"
        )
    train, order = open_part(folder, data.train, **seen)
    val, _ = open_part(folder, data.val, classes=train.classes, **seen)
    return train, val, order or shuffled


def _mixers(data: BatchRecipe, num_classes: int) -> list[nn.Module]:
    from torchvision.transforms.v2 import CutMix, MixUp

    named = [(MixUp, data.mixup, "mixup"), (CutMix, data.cutmix, "cutmix")]
    for _, alpha, name in named:
        if alpha < 0:
            raise InputError(f"data.{name} is {alpha}; it may be 0 (off) or above")
    if not 0 <= data.label_smoothing < 1:
        raise InputError(f"data.label_smoothing is {data.label_smoothing}; it is at least 0 and below 1")
    return [kind(alpha=alpha, num_classes=num_classes) for kind, alpha, _ in named if alpha > 0]


def create(recipe: Recipe, root: Path) -> ClassificationTask:
    train, val, order = open_images(recipe.data, root)
    return ClassificationTask(recipe, train, val, recipe.data.augment, order)
