"""A grid over RNNPool's sizes and the image's in one network, and what of it is worth having.

Every one of these sizes costs multiply-adds and memory alike, so by these two alone the smallest network of a grid
beats all others and a Pareto front is one point. What is bought with them is accuracy, which grows with the image and
with the hidden sizes (Saha et al. 2020, table 16: 92.8, 94.4 and 95.0% with h = 8, 16 and 32), not steadily with the
patch (93.2, 94.4 and 94.0% with 4, 6 and 8). So a network is worth having if none with as large an image and as large
hidden sizes costs less.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from rnnpool.cost.standard import standard_peak
from rnnpool.cost.stream import plan_rows
from rnnpool.errors import InputError
from rnnpool.graph import lower

OPTIONS = ("kernel", "stride", "hidden")  # of the builders with RNNPool, beside input_size
BOUGHT = ("input_size", "hidden")  # what more multiply-adds and memory are spent for


@dataclass(frozen=True)
class Point:
    """One network of the grid: its settings and what it costs; ``ram`` is that of the two peaks that counts."""

    settings: Mapping[str, int]
    parameters: int
    madds: int
    rows: int
    standard: int
    by: str = "rows"

    @property
    def ram(self) -> int:
        return self.rows if self.by == "rows" else self.standard

    @property
    def label(self) -> str:
        """In the words of ``rnnpool sweep``."""
        words = {"kernel": "patch", "input_size": "input"}
        return ", ".join(f"{words.get(name, name)} {value}" for name, value in self.settings.items())

    def beats(self, other: "Point") -> bool:
        """Whether this one has no smaller image and hidden sizes, costs no more, and is better in one of these."""
        mine, theirs = self._figures(), other._figures()
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))

    def _figures(self) -> tuple[int, ...]:
        return self.madds, self.ram, *(-self.settings.get(option, 0) for option in BOUGHT)


@dataclass(frozen=True)
class Sweep:
    """All points that can be built, and why others cannot."""

    points: tuple[Point, ...]
    impossible: tuple[str, ...]

    @property
    def front(self) -> tuple[Point, ...]:
        """The points that no other beats, by multiply-adds."""
        best = [point for point in self.points if not any(other.beats(point) for other in self.points)]
        return tuple(sorted(best, key=lambda point: (point.madds, point.ram)))


def run_sweep(name: str, grid: Mapping[str, Sequence[int]], *, dtype: str = "int8", by: str = "rows") -> Sweep:
    """Cost of a registered network for every combination of settings.

    Args:
        grid: values by option: "kernel", "stride", "hidden" (of RNNPool) and "input_size" (square).
        by: which peak counts as memory: "rows" (the plan by rows) or "standard" (the paper's convention).

    Raises:
        InputError: an option that the network does not have.
    """
    points, impossible = [], []
    for settings in _combinations(name, grid):
        try:
            points.append(_point(name, settings, dtype, by))
        except InputError as error:
            impossible.append(f"{', '.join(f'{k} {v}' for k, v in settings.items())}: {error}")
    return Sweep(tuple(points), tuple(impossible))


def _combinations(name: str, grid: Mapping[str, Sequence[int]]) -> Iterator[dict[str, int]]:
    from rnnpool.models import model_info

    accepted = inspect.signature(model_info(name).builder).parameters
    for option in grid:
        if option != "input_size" and option not in accepted:
            raise InputError(
                f"model {name!r} has no option {option!r} to sweep; networks whose name ends in -rnnpool have"
                f" {', '.join(OPTIONS)}"
            )
    for values in product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _point(name: str, settings: Mapping[str, int], dtype: str, by: str) -> Point:
    from rnnpool.models import create_model, model_info

    info = model_info(name)
    overrides: dict[str, Any] = dict(settings)
    size = settings.get("input_size")
    if size is not None and info.task == "detection":
        overrides["input_size"] = (size, size)
    if info.input_size is None:
        raise InputError(f"model {name!r} has no registered input size")
    shape = info.input_size if size is None else (info.input_size[0], size, size)
    graph = lower(create_model(name, **overrides), shape, name=name)
    rows, standard = plan_rows(graph, dtype=dtype).peak, standard_peak(graph, dtype=dtype).peak
    return Point(settings, graph.parameters, graph.madds.shared, rows, standard, by)
