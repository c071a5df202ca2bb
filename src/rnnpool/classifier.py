"""From a photo to its class: what ``rnnpool classify`` does, for use from Python.

classifier = Classifier.from_name("vww-rnnpool")
label, probability = classifier.classify("photo.jpg")[0]
"""

import json
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from rnnpool.data.classification import centre_crop, normalise_pixels
from rnnpool.data.view import View
from rnnpool.errors import InputError
from rnnpool.images import ImageLike, image_pixels
from rnnpool.integer.module import IntModule
from rnnpool.models import create_model, list_models, model_info, network_of, weights_info
from rnnpool.models.weights import Trained, find_shipped_weights, shipped_weights

DEFAULT_MODEL = "vww-rnnpool"


class Guess(NamedTuple):
    """A class and its probability, 0..1."""

    label: str
    probability: float


class Classifier:
    """A network with everything around it: any image in, its classes by probability out.

    Args:
        model: (B, C, S, S) -> logits (B, K); it is used in evaluation mode, on the device that it is on.
        classes: K names.
        trained: what it was trained on, where that is known.
    """

    def __init__(self, model: nn.Module, classes: list[str], view: View, trained: Trained | None = None) -> None:
        self.model, self.classes, self.view = model.eval(), classes, view
        self.trained = trained or Trained()

    @classmethod
    def from_name(cls, model: str = DEFAULT_MODEL, weights: str | Path = "default") -> "Classifier":
        """The registered network ``model`` with the weights of the package ("default") or of a .safetensors file.

        Raises:
            InputError: no such network, one that is no classifier, no shipped weights, or a file that does not fit or
                does not say what its classes are and how it sees images.
        """
        if model_info(model).task != "classification":
            trained = [name for name in list_models() if _is_shipped_classifier(name)]
            raise InputError(f"model {model!r} is no classifier; those that come trained are: {', '.join(trained)}")
        path = shipped_weights(model) if str(weights) == "default" else Path(weights)
        info = weights_info(path)
        if not info.classes or not info.view:
            raise InputError(
                f"{path}: does not say what its classes are and how it sees images (rnnpool train writes it)"
            )
        return cls(create_model(model, weights=path), list(info.classes), View(**info.view), info.trained)

    @classmethod
    def from_file(cls, weights: str | Path) -> "Classifier":
        """The network that a .safetensors file of ``rnnpool train`` names, with that file's weights.

        Raises:
            InputError: as of ``from_name``.
        """
        return cls.from_name(network_of(weights), weights)

    @classmethod
    def of_integers(cls, module: IntModule) -> "Classifier":
        """The classifier that an integer network is: ``IntModule.load(FILE)``, or ``CModule`` of ``compile.engine``.

        Raises:
            InputError: integers that do not say what their classes are (rnnpool quantize keeps what training wrote).
        """
        network = module.network
        if not {"classes", "test_crop"} <= network.metadata.keys():
            raise InputError(
                f"the integers of {network.name!r} do not say what its classes are (rnnpool train writes it)"
            )
        channels, size, _ = network.image.shape  # a square: a View is one
        view = View(channels, size, float(network.metadata["test_crop"]))
        return cls(module, json.loads(network.metadata["classes"]), view, Trained.of_entries(network.metadata))

    def classify(self, image: ImageLike) -> list[Guess]:
        """The classes of an image, likeliest first; the central square of it is looked at.

        Args:
            image: a file; a Pillow image of any mode (its EXIF orientation is applied); or an array of uint8 (H, W),
                (H, W, 1) or (H, W, 3), RGB.

        Raises:
            InputError: a file that cannot be read, or an array of another shape or type.
        """
        pixels = image_pixels(image, self.view.channels).copy()  # Pillow's memory is read-only, which torch warns of
        square = centre_crop(pixels, (self.view.size, self.view.size), self.view.test_crop)
        device = next((parameter.device for parameter in self.model.parameters()), torch.device("cpu"))
        with torch.no_grad():
            logits = self.model(normalise_pixels(square[None].to(device), self.view.mean, self.view.std))
        probabilities = logits[0].float().softmax(dim=0).tolist()
        guesses = [Guess(label, value) for label, value in zip(self.classes, probabilities, strict=True)]
        return sorted(guesses, key=lambda guess: -guess.probability)


def _is_shipped_classifier(name: str) -> bool:
    return model_info(name).task == "classification" and find_shipped_weights(name) is not None
