"""rnnpool: accurate computer vision in tens of kilobytes of RAM."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for type checkers; at run time __getattr__ imports them
    from rnnpool.classifier import Classifier
    from rnnpool.models import create_model, list_models
    from rnnpool.pipeline import FaceDetector
    from rnnpool.surgery import replace

__version__ = "0.1.0"
__all__ = ["Classifier", "FaceDetector", "create_model", "list_models", "replace"]

_LAZY = {
    "Classifier": "rnnpool.classifier",
    "FaceDetector": "rnnpool.pipeline",
    "create_model": "rnnpool.models",
    "list_models": "rnnpool.models",
    "replace": "rnnpool.surgery",
}


def __getattr__(name: str) -> object:
    """``rnnpool.replace`` and its like, imported when first asked for: ``import rnnpool`` itself costs no torch."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
