"""``rnnpool evaluate`` where the weights are a classifier's: top-1, top-5 and which class is taken for which."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnpool.commands import engines
from rnnpool.errors import InputError

if TYPE_CHECKING:
    from rnnpool.data.labelled import LabelledImages
    from rnnpool.data.view import View
    from rnnpool.eval.classifier import ClassifierScores
    from rnnpool.models.weights import Trained


def is_asked_for(args: argparse.Namespace) -> bool:
    """Whether --model or the file --weights is a classifier's."""
    if args.engine != "float" and args.weights is not None:
        from rnnpool.integer.detector import find_integer_head
        from rnnpool.integer.storage import load_network

        return find_integer_head(load_network(args.weights)) is None

    from rnnpool.models import model_info, network_of

    name = network_of(args.weights) if args.model is None and args.weights is not None else args.model
    return name is not None and model_info(name).task == "classification"


def run(args: argparse.Namespace) -> int:
    from rnnpool.commands.evaluate import move_to, subject_of
    from rnnpool.commands.output import check_folder, write_json
    from rnnpool.data.classification import CentreImages
    from rnnpool.data.unreadable import all_unreadable_named
    from rnnpool.eval.classifier import evaluate_classifier
    from rnnpool.eval.confusion_plot import save_confusion
    from rnnpool.eval.pr_plot import require_matplotlib

    if args.area is not None:
        raise InputError("--area is for detectors; a classifier sees images in the size that it was trained on")
    if args.split_seed is not None:
        raise InputError("--split-seed is for SCUT-HEAD; of a classifier's pictures the split of its training counts")
    if args.out is not None:  # what would fail at the end fails now
        require_matplotlib()
        check_folder(args.out, "--out")
    classifier = engines.open_classifier(args.model, args.weights, args.engine)
    model, view = classifier.model, classifier.view
    subject = subject_of(args, model)
    move_to(args.device, model)
    images, part = open_pictures(args.data, args.split, tuple(classifier.classes), view, classifier.trained)

    started = time.perf_counter()
    centre = CentreImages(images, view.size, view.test_crop)
    with all_unreadable_named(images.pixels):
        scores = evaluate_classifier(model, centre, mean=view.mean, std=view.std)
    seconds = time.perf_counter() - started
    print(f"{len(images)} images in {seconds:.1f} s, {len(images) / seconds:.1f} images/s", file=sys.stderr)
    named = " ".join(value for key, value in subject.items() if key != "weights")
    title = f"{named} on {args.data.name}, {part}"
    if args.out is not None:
        save_confusion(args.out / "confusion.png", scores.confusion, images.classes, title)
    if args.json != "-":
        _print(scores, images.classes, title)
    entry = {**subject, "data": str(args.data), "split": part, "images": len(images)}
    confusion = scores.confusion.tolist()
    metrics = {metric: round(value, 6) for metric, value in scores.metrics.items()}
    write_json({**entry, **metrics, "classes": images.classes, "confusion": confusion}, args.json)
    return 0


def open_pictures(
    folder: Path, split: str | None, classes: tuple[str, ...], view: "View", trained: "Trained"
) -> tuple["LabelledImages", str]:
    """The pictures to measure, decoded as training decodes them, and what to call them.

    Args:
        split: the folder of them; None: what training evaluated on.
        view: how the weights' network sees images.
        trained: what the weights were trained on.
    """
    from rnnpool.data.classification import ImageAugment, least_side
    from rnnpool.data.digest import digest
    from rnnpool.data.parts import data_folder, has_part, hold_out, open_part
    from rnnpool.train.typed import from_mapping

    if not folder.is_dir():
        raise InputError(f"--data {folder}: no such folder")
    data = trained.data
    seen: dict[str, Any] = {"classes": classes, "channels": view.channels}
    if "crop_scale" in data.get("augment", {}):
        augment = from_mapping(ImageAugment, data["augment"], "data.augment")
        seen["least_side"] = least_side(augment, view.size, view.test_crop)
    root = data_folder(folder, data.get("folder", "."))
    part = split or data.get("val", "val")
    if has_part(root, part):
        return open_part(root, part, **seen)[0], part
    if split not in (None, "val") or "val_share" not in data:
        raise InputError(f"--data {folder}: no folder {part!r} in it")
    share, seed = data["val_share"], data["split_seed"]
    train, held, _ = hold_out(root, share, seed, **seen)
    if trained.digest and trained.digest != digest(classes, train.names, held.names):
        print(
            f"rnnpool: {root}: other pictures than the weights were trained on; some that are measured may have "
            "trained them",
            file=sys.stderr,
        )
    return held, f"the {share:.0%} that training held out (split_seed {seed})"


def _print(scores: "ClassifierScores", classes: tuple[str, ...], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    print(title)
    for name, value in scores.metrics.items():
        print(f"{name:5} {value:.4f}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("class", "images", "recognised", "taken most often for"):
        table.add_column(heading, justify="left" if heading in ("class", "taken most often for") else "right")
    for number, row in enumerate(scores.confusion):
        others = row.copy()
        others[number] = 0
        worst = f"{classes[others.argmax()]} ({others.max()})" if others.any() else ""
        share = f"{row[number] / row.sum():.1%}" if row.sum() else "-"
        table.add_row(classes[number], f"{row.sum():,}", share, worst)
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120).print(table)
