"""What the network of a run costs, from the weights that the run wrote."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rnnpool.cost import as_graph, count
from rnnpool.cost.standard import standard_peak
from rnnpool.cost.stream import plan_rows
from rnnpool.errors import InputError
from rnnpool.models import create_model, model_info, weights_info
from rnnpool.train.recipe import Recipe


@dataclass(frozen=True)
class RunCost:
    """Parameters; multiply-adds of one image as the paper counts and as computed; bytes.

    ``standard_ram`` is the paper's convention in float32, ``streamed_ram`` the plan by rows in int8. What cannot be
    counted is None, and ``missing`` says why.
    """

    parameters: int
    madds_paper: int | None = None
    madds: int | None = None
    standard_ram: int | None = None
    streamed_ram: int | None = None
    missing: str = ""


def trained_network(recipe: Recipe, weights: Path) -> tuple[dict[str, Any], tuple[int, int, int]]:
    """Options and shape (C, H, W) of the network that a run of ``recipe`` trains.

    Args:
        weights: what the run wrote. A classifier's say how many classes it has; a detector's need not be there.

    Raises:
        InputError: a classifier without weights.
    """
    info = weights_info(weights) if weights.is_file() else None
    if info and info.view:
        return info.options, (info.view["channels"], info.view["size"], info.view["size"])
    if model_info(recipe.model.name).task == "classification":
        raise InputError(f"the network of {recipe.model.name!r} is known when a run is done: there is no {weights}")
    model = _without_values(recipe.model.name, recipe.model.options)
    return recipe.model.options, (model.in_channels, *model.input_size)  # type: ignore[misc]  # a Detector's


def run_cost(recipe: Recipe, weights: Path) -> RunCost:
    """The cost of the network that a run of ``recipe`` trains; arguments and errors as for ``trained_network``."""
    options, shape = trained_network(recipe, weights)
    model = _without_values(recipe.model.name, options)
    parameters = sum(p.numel() for p in model.parameters())
    try:
        graph = as_graph(model, shape)
        madds = count(graph).madds
        standard, streamed = standard_peak(graph).peak, plan_rows(graph, dtype="int8").peak
    except InputError as error:
        return RunCost(parameters, missing=str(error))
    return RunCost(parameters, madds.paper, madds.shared, standard, streamed)


def _without_values(name: str, options: dict[str, Any]) -> nn.Module:
    with torch.device("meta"):
        return create_model(name, **options)
