"""Optimisers and which parameters decay."""

import torch
from torch import nn

from rnnpool.train.recipe import TrainRecipe


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Decay matrices and convolution kernels only.

    Biases, norms' weights and learnt scales have at most one axis longer than 1; shrinking those does not regularise.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [p for p in trained if sum(size > 1 for size in p.shape) > 1]
    vectors = [p for p in trained if sum(size > 1 for size in p.shape) <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def build_optimizer(model: nn.Module, settings: TrainRecipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; fused (one kernel for all) since these networks have hundreds of tiny tensors."""
    groups = parameter_groups(model, settings.weight_decay)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov, fused=True
        )
    return torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas, fused=True)
