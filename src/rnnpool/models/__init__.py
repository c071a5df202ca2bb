"""Networks by name: ``create_model("face-tiny")``, ``list_models()``. Importing this registers the package's own."""

from rnnpool.models import classification, face, s3fd
from rnnpool.models.detector import Detector
from rnnpool.models.registry import ModelInfo, create_model, list_models, model_info, register
from rnnpool.models.weights import WeightsInfo, load_weights, network_of, save_weights, weights_info

__all__ = [
    "Detector",
    "ModelInfo",
    "WeightsInfo",
    "classification",
    "create_model",
    "face",
    "list_models",
    "load_weights",
    "model_info",
    "network_of",
    "register",
    "s3fd",
    "save_weights",
    "weights_info",
]
