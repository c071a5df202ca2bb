"""Training on synthetic lines and shapes: what a single pooling can tell (rnnpool.data.synthetic)."""

from dataclasses import dataclass, field
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from rnnpool.data.classification import ImageAugment, normalise_pixels
from rnnpool.data.synthetic import Synthetic, synthetic_images
from rnnpool.data.view import View
from rnnpool.errors import InputError
from rnnpool.eval.classifier import evaluate_labels
from rnnpool.train.classification_task import BatchRecipe, ClassificationTask
from rnnpool.train.recipe import Recipe
from rnnpool.train.stream import mix_seed
from rnnpool.train.task import Batch


@dataclass(frozen=True)
class DataRecipe(View, BatchRecipe):
    """The pictures are drawn when the run begins; nothing is read from ``--data``. ``size`` is theirs, too."""

    test_crop: float = 1.0  # the whole picture, as it is trained on
    synthetic: Synthetic = field(default_factory=Synthetic)
    train_images: int = 20000
    val_images: int = 5000
    draw_seed: int = 0  # of the pictures; the held-out ones are others


class ProbeTask(ClassificationTask):
    """One class a picture is classified as ever; with several, each class is a yes or no of its own."""

    def __init__(self, recipe: Recipe) -> None:
        data: DataRecipe = recipe.data
        if (data.size, data.channels) != (data.synthetic.size, data.synthetic.channels):
            raise InputError(
                f"data.size and data.channels are {data.size} and {data.channels}, those of data.synthetic "
                f"{data.synthetic.size} and {data.synthetic.channels}; they must be the same"
            )
        self.many = data.synthetic.multi_label
        self.main_metric = "exact" if self.many else "top1"
        if self.many and (data.mixup or data.cutmix or data.label_smoothing):
            raise InputError("mixup, cutmix and label_smoothing need one class a picture (synthetic.multi_label=false)")
        train = synthetic_images(data.synthetic, data.train_images, mix_seed(data.draw_seed, 0))
        val = synthetic_images(data.synthetic, data.val_images, mix_seed(data.draw_seed, 1))
        # A mirrored line has another angle: the pictures stay as they are.
        super().__init__(recipe, train, val, ImageAugment((1.0, 1.0), (1.0, 1.0), flip=0.0))

    def loss(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        if not self.many:
            return super().loss(model, batch)
        logits = model(normalise_pixels(batch.inputs, self.data.mean, self.data.std))
        return {"binary_cross_entropy": F.binary_cross_entropy_with_logits(logits, batch.targets)}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        if not self.many:
            return super().evaluate(model)
        return evaluate_labels(model, self.val, mean=self.data.mean, std=self.data.std)


def create(recipe: Recipe, root: Path) -> ProbeTask:
    return ProbeTask(recipe)
