"""What the network of a run costs, from the weights that the run wrote."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from rnnpool.cost import as_graph, count
from rnnpool.cost.standard import standard_peak
from rnnpool.cost.stream import plan_rows
from rnnpool.errors import InputError
from rnnpool.models import create_model
from rnnpool.models.weights import read_weights
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


def run_cost(recipe: Recipe, weights: Path) -> RunCost:
    """The cost of the network in ``weights`` (written by a run of ``recipe``), at the size of image it is meant for."""
    metadata = read_weights(weights)[1]
    options = json.loads(metadata["model_options"]) if "model_options" in metadata else recipe.model.options
    with torch.device("meta"):
        model = create_model(recipe.model.name, **options)
    if "view" in metadata:
        view = json.loads(metadata["view"])
        shape = (view["channels"], view["size"], view["size"])
    else:
        shape = (model.in_channels, *model.input_size)  # type: ignore[misc]  # a Detector's
    parameters = sum(p.numel() for p in model.parameters())
    try:
        graph = as_graph(model, shape)
        madds = count(graph).madds
        standard, streamed = standard_peak(graph).peak, plan_rows(graph, dtype="int8").peak
    except InputError as error:
        return RunCost(parameters, missing=str(error))
    return RunCost(parameters, madds.paper, madds.shared, standard, streamed)
