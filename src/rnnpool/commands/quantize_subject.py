"""What ``rnnpool quantize`` is asked to turn into integers: a trained network, its images, and how it is measured."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnpool.errors import InputError
from rnnpool.models.weights import Trained

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from rnnpool.integer.calibrated import Calibrated
    from rnnpool.integer.network import IntNetwork

# The precision or accuracy by name: of the float network (None), or of an integer one.
Measure = Callable[["IntNetwork | None"], dict[str, float]]


@dataclass(frozen=True)
class Subject:
    """A trained network.

    Attributes:
        name: as the command line has it.
        shape: (C, H, W) of its images.
        view: how a classifier sees images: its training's ``View``, or nothing.
        classes: of a classifier, if its weights name them.
        trained: what the weights were trained on.
        calibrated: the ranges that they were trained with, if they were trained to be rounded.
    """

    name: str
    module: "nn.Module"
    shape: tuple[int, int, int]
    view: dict[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    trained: Trained = field(default_factory=Trained)
    calibrated: "Calibrated | None" = None

    @property
    def viewed(self) -> "nn.Module":
        """The network as one of (v - 128) / 128, which is what integer networks take."""
        from rnnpool.integer.module import viewed

        return viewed(self.module, self.view.get("mean", ()), self.view.get("std", ()))

    @property
    def entries(self) -> dict[str, str]:
        """What its integers are to say of it: what trained it; a classifier's, its classes and how it looks."""
        trained = self.trained.entries()
        if not self.classes:
            return trained
        return {**trained, "classes": json.dumps(self.classes), "test_crop": str(self.view["test_crop"])}

    def images(self, paths: list[Path]) -> list["NDArray"]:
        """Bytes (C, H, W) as the network sees them in use: whole for a detector, the middle for all others.

        Raises:
            InputError: images that cannot be read, or a network of other than 1 or 3 channels.
        """
        from rnnpool.data.pixel_cache import PixelFiles
        from rnnpool.data.unreadable import all_unreadable_named
        from rnnpool.integer.images import CENTRE, centre_crops, whole_images
        from rnnpool.models.detector import Detector

        channels, height, width = self.shape
        if channels not in (1, 3):
            raise InputError(
                f"{self.name} takes {channels} channels; photos give 1 or 3. rnnpool.integer.convert.convert takes "
                "arrays of any"
            )
        with all_unreadable_named(PixelFiles(paths, channels)):
            if isinstance(self.module, Detector):
                return whole_images(paths, channels, (height, width), max(self.module.head.strides))
            return centre_crops(paths, channels, (height, width), self.view.get("test_crop", CENTRE))


def choose_images(folder: Path, count: int) -> list[Path]:
    """``count`` of the images below a folder (all if there are fewer), evenly spaced in the order of their names.

    Raises:
        InputError: no such folder, no images there, or a count below 1.
    """
    if count < 1:
        raise InputError(f"the number of images is {count}; it must be at least 1")
    from rnnpool.commands.image_files import find_images
    from rnnpool.integer.images import evenly_spaced

    files, problems = find_images([folder])
    if problems:
        raise InputError(problems[0])
    return [files[i].path for i in evenly_spaced(count, len(files))]


def load_subject(name: str | None, weights: str | None, shape: str | None) -> Subject:
    """The network of a registered name, or of module:function.

    Args:
        name: None: that of ``weights``.
        weights: a .safetensors file; None: those of the package.
        shape: "CxHxW"; None: the network's own.
    """
    from rnnpool.cost.source import input_shape, load_network
    from rnnpool.integer.calibrated import Calibrated
    from rnnpool.models import create_model, model_info, network_of
    from rnnpool.models.weights import shipped_weights, weights_info

    if name is None:
        if weights is None:
            raise InputError("give a MODEL, or --weights FILE, which names its network")
        name = network_of(weights)
    if ":" in name:
        if weights is not None:
            raise InputError(f"--weights belongs to registered networks; {name} is to return a trained one")
        module, own = load_network(name)
        return Subject(name, module, input_shape(name, shape, own))
    own = model_info(name).input_size
    path = shipped_weights(name) if weights is None else Path(weights)
    info = weights_info(path)
    module = create_model(name, weights=path)
    if info.view:
        own = (info.view["channels"], info.view["size"], info.view["size"])
    calibrated = Calibrated.from_json(info.integers) if info.integers else None
    return Subject(name, module, input_shape(name, shape, own), info.view, info.classes, info.trained, calibrated)


def open_measure(subject: Subject, folder: Path) -> Measure:
    """How ``subject`` is measured on the data set in ``folder``: precision of a detector, accuracy of a classifier."""
    from rnnpool.models.detector import Detector

    if isinstance(subject.module, Detector):
        return _precision(subject.module, folder)
    if not subject.classes:
        raise InputError(
            f"--evaluate measures detectors, and classifiers whose weights come from rnnpool train; {subject.name} is a"
            f" {type(subject.module).__name__} whose classes are not known"
        )
    return _accuracy(subject, folder)


def _precision(module: Any, folder: Path) -> Measure:
    from rnnpool.commands.evaluate import find_dataset, progress_bar
    from rnnpool.eval.sets import open_evaluation
    from rnnpool.integer.detector import IntDetector

    root, dataset = find_dataset(folder)
    area = module.input_size[0] * module.input_size[1]
    evaluation = open_evaluation(dataset, root, channels=module.in_channels, area=area)

    def measure(network: "IntNetwork | None") -> dict[str, float]:
        model = module if network is None else IntDetector(network, module.head)
        with progress_bar("detecting, float" if network is None else "detecting, int8") as progress:
            curves = evaluation.curves(evaluation.detect(model, progress=progress))
        return {level: curve.average_precision for level, curve in curves.items()}

    return measure


def _accuracy(subject: Subject, folder: Path) -> Measure:
    from rnnpool.commands.evaluate_classifier import open_pictures
    from rnnpool.data.classification import CentreImages
    from rnnpool.data.unreadable import all_unreadable_named
    from rnnpool.data.view import View
    from rnnpool.eval.classifier import evaluate_classifier
    from rnnpool.integer.module import IntModule

    view = View(**subject.view)
    pictures, _ = open_pictures(folder, None, subject.classes, view, subject.trained)
    images = CentreImages(pictures, view.size, view.test_crop)

    def measure(network: "IntNetwork | None") -> dict[str, float]:
        module = subject.viewed.eval() if network is None else IntModule(network)
        with all_unreadable_named(pictures.pixels):
            metrics = evaluate_classifier(module, images, mean=(128.0,), std=(128.0,)).metrics
        return {name: value for name, value in metrics.items() if name != "loss"}

    return measure
