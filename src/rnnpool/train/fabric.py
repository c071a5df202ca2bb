"""One process, or those of ``torchrun``, on whatever device there is (Lightning Fabric)."""

import os
from datetime import timedelta

import torch

from rnnpool.errors import InputError
from rnnpool.train.recipe import TrainRecipe

try:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy
except ImportError as error:
    raise InputError('training needs lightning-fabric: pip install "rnnpool[train]"') from error

__all__ = ["Fabric", "make_fabric"]


def make_fabric(settings: TrainRecipe) -> Fabric:
    """Launched; ``torchrun`` tells how many processes by WORLD_SIZE and LOCAL_WORLD_SIZE."""
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise InputError("train.device is cuda, and torch finds none here; it may be auto or cpu")
    world, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    # Processes wait while the first evaluates: longer than a collective's usual limit on large validation sets.
    strategy = DDPStrategy(timeout=timedelta(hours=2)) if world > 1 else "auto"
    fabric = Fabric(
        accelerator=settings.device,
        devices=local,
        num_nodes=world // local,
        strategy=strategy,
        precision=settings.precision,
    )
    fabric.launch()
    return fabric
