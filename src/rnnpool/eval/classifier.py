"""Accuracy of a classifier: top-1, top-5, cross-entropy and which class is taken for which (torchmetrics).

Where targets are probabilities (soft labels of a teacher), the class of a sample is the likeliest one, and accuracy is
agreement with the teacher: on all samples, and on those that it is sure of.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnnpool.data.classification import CentreImages, normalise_pixels
from rnnpool.data.guarded import guarded_loader
from rnnpool.errors import InputError

SURE = 0.9  # probability from which a teacher counts as sure


@dataclass(frozen=True)
class ClassifierScores:
    """``metrics`` by name; ``confusion`` int64 (K, K): row the true class, column the predicted one."""

    metrics: dict[str, float]
    confusion: np.ndarray


def evaluate_classifier(
    model: nn.Module,
    images: CentreImages,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    batch_size: int = 64,
    workers: int = 0,
) -> ClassifierScores:
    """Run ``model`` (in evaluation mode, (B, C, S, S) -> logits (B, K)) over every sample.

    Returns:
        Metrics ``top1``, ``top5`` (from 6 classes on), ``loss``; with soft labels also ``top1_sure`` and ``sure``, the
        share of samples that the teacher is sure of.
    """
    try:
        from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix
    except ImportError as error:
        raise InputError('evaluating a classifier needs torchmetrics: pip install "rnnpool[train]"') from error
    count = len(images.images.classes)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    # The first of several processes evaluates by itself; the others would not come to be added up.
    alone: dict[str, Any] = {"sync_on_compute": False}
    meters = {
        f"top{k}": MulticlassAccuracy(count, top_k=k, average="micro", **alone).to(device)
        for k in ((1, 5) if count > 5 else (1,))
    }
    sure = MulticlassAccuracy(count, average="micro", **alone).to(device)
    confusion = MulticlassConfusionMatrix(count, **alone).to(device)
    losses, sure_samples, soft = 0.0, 0, False
    with torch.no_grad():
        for pixels, targets in _batches(images, batch_size, workers):
            logits = model(normalise_pixels(pixels.to(device), mean, std)).float()
            targets = targets.to(device)
            losses += float(F.cross_entropy(logits, targets, reduction="sum"))
            soft = targets.dim() == 2
            labels = targets.argmax(dim=1) if soft else targets
            for meter in (*meters.values(), confusion):
                meter.update(logits, labels)
            if soft and (chosen := targets.amax(dim=1) >= SURE).any():
                sure.update(logits[chosen], labels[chosen])
                sure_samples += int(chosen.sum())
    metrics = {name: float(meter.compute()) for name, meter in meters.items()} | {"loss": losses / len(images)}
    if soft:
        metrics |= {"sure": sure_samples / len(images)}
        metrics |= {"top1_sure": float(sure.compute())} if sure_samples else {}
    return ClassifierScores(metrics, confusion.compute().cpu().numpy())


def evaluate_labels(
    model: nn.Module, images: CentreImages, *, mean: Sequence[float], std: Sequence[float], batch_size: int = 64
) -> dict[str, float]:
    """Where several classes may hold: ``exact`` is the share of samples with every label right, ``labels`` of labels.

    A class is said to hold from probability 0.5 on, which is logit 0.
    """
    device = next(model.parameters()).device
    exact, right, losses = 0, 0, 0.0
    with torch.no_grad():
        for pixels, targets in _batches(images, batch_size, workers=0):
            logits = model(normalise_pixels(pixels.to(device), mean, std)).float().cpu()
            hits = (logits > 0) == (targets > 0.5)
            exact, right = exact + int(hits.all(dim=1).sum()), right + int(hits.sum())
            losses += float(F.binary_cross_entropy_with_logits(logits, targets, reduction="sum"))
    count, labels = len(images), len(images) * len(images.images.classes)
    return {"exact": exact / count, "labels": right / labels, "loss": losses / labels}


class _Chunks:
    """Batches of consecutive samples by number (a class because workers may have to pickle it)."""

    def __init__(self, images: CentreImages, size: int) -> None:
        self.images, self.size = images, size

    def __len__(self) -> int:
        return -(-len(self.images) // self.size)

    def __call__(self, number: int) -> tuple[Tensor, Tensor]:
        end = min((number + 1) * self.size, len(self.images))
        return self.images.batch([(0, index) for index in range(number * self.size, end)])


def _batches(images: CentreImages, size: int, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    chunks = _Chunks(images, size)
    return guarded_loader(chunks, range(len(chunks)), workers=workers)
