"""Graphs and plans of registered networks, each made once."""

from functools import lru_cache

from rnnpool.cost.standard import StandardPeak, standard_peak
from rnnpool.cost.stream import StreamPlan, plan_rows
from rnnpool.errors import InputError
from rnnpool.graph import Graph, lower


@lru_cache(maxsize=256)
def graph_of(name: str) -> Graph:
    """Of a registered network at its own input size."""
    from rnnpool.models import create_model, model_info

    shape = model_info(name).input_size
    if shape is None:
        raise InputError(f"model {name!r} has no registered input size")
    return lower(create_model(name), shape, name=name)


def standard_of(name: str, dtype: str = "float32") -> StandardPeak:
    return standard_peak(graph_of(name), dtype=dtype)


@lru_cache(maxsize=256)
def rows_of(name: str, dtype: str = "int8", tile: int | None = None) -> StreamPlan:
    return plan_rows(graph_of(name), dtype=dtype, tile=tile)
