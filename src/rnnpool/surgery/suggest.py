"""Which blocks set a network's peak memory, and which RNNPool in their place would lower it, and at what cost.

Every run of whole modules between two waists that holds the peak is tried: an RNNPool fitted to its sizes is grafted
into the network's graph, and the result is counted like any network. Nothing is executed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from rnnpool.cost import count
from rnnpool.cost.standard import standard_peak
from rnnpool.cost.stream import plan_rows
from rnnpool.errors import InputError
from rnnpool.graph import Graph, Node, lower
from rnnpool.surgery.fit import PoolFit, fit_rnnpool
from rnnpool.surgery.probe import check_size
from rnnpool.surgery.waists import Run, graft, runs

PLANS = ("standard", "rows")
USUAL_HIDDEN = 32  # the published networks have 8 to 48


@dataclass(frozen=True)
class Figures:
    """What a network needs for one image.

    ``standard`` and ``rows`` are peaks in bytes: by the paper's convention (``cost.standard``), which counts whole
    maps; and of the best plan by rows (``cost.stream``), from which ordinary networks profit as well.
    """

    standard: int
    rows: int
    madds: int
    parameters: int


@dataclass(frozen=True)
class Proposal:
    """An RNNPool in place of the modules ``start`` to ``stop``, and what the network needs then."""

    start: str
    stop: str
    fit: PoolFit
    figures: Figures
    nodes: int  # how many operators of the network it replaces

    def call(self, model: str, input_size: Sequence[int]) -> str:
        """The line of Python that does it."""
        run = f'"{self.start}"' if self.start == self.stop else f'"{self.start}", "{self.stop}"'
        return f"rnnpool.replace({model}, {run}, input_size={tuple(input_size)}, hidden={self.fit.hidden[0]})"


@dataclass(frozen=True)
class Suggestion:
    """The network as it is, the module where its peak is reached, and proposals, best first."""

    now: Figures
    peak: str
    proposals: list[Proposal]


def suggest(
    network: nn.Module,
    input_size: Sequence[int],
    *,
    dtype: str = "int8",
    plan: str = "standard",
    hidden: int | None = None,
    largest_stride: int = 4,
    most: int = 5,
) -> Suggestion:
    """The RNNPools that lower a network's peak.

    Args:
        input_size: (C, H, W).
        dtype: of the maps, see ``cost.precision``.
        plan: which peak is to be lowered, "standard" or "rows".
        hidden: of the RNNPools; by default a quarter of the replaced run's channels, at most 32.
        largest_stride: of the RNNPools. The published networks have 4; a larger one replaces more blocks.
        most: proposals to return. None of them is beaten by another one in both the peak and how little it replaces.

    Raises:
        InputError: a network that cannot be lowered to a graph, or an unknown plan or dtype.
    """
    if plan not in PLANS:
        raise InputError(f"plan is {plan!r}; it may be {' or '.join(PLANS)}")
    graph = lower(network, check_size(input_size))
    peak, at_work = _peak(graph, dtype, plan)
    position = {node: i for i, node in enumerate(graph)}
    first, last = min(position[node] for node in at_work), max(position[node] for node in at_work)
    # An RNNPool takes its input by patches, so one right behind the peak removes it as well.
    holding = [run for run in runs(graph) if position[run.entry] <= last and position[run.end] >= first]
    behind_the_image = [run for run in holding if run.entry.kind == "image"]

    def improved(candidates: list[Run]) -> list[_Tried]:
        tried = []
        for run in filter(_worth_trying, candidates):
            try:
                usual = min(-(-run.out_shape[0] // 4), USUAL_HIDDEN)
                fit = fit_rnnpool(run.in_shape, run.out_shape, hidden=hidden or usual)
            except InputError:
                continue  # sizes that no RNNPool maps to each other: this run is no proposal
            if max(fit.stride) > largest_stride:
                continue
            with torch.device("meta"):
                grafted = graft(graph, run, lower(fit.build(), run.in_shape))
            then, _ = _peak(grafted, dtype, plan)
            if then < peak:
                tried.append((then, run, fit, grafted))
        return tried

    # The image itself has few channels for an RNNPool, so that is proposed only where nothing else helps.
    tried = improved([run for run in holding if run not in behind_the_image]) or improved(behind_the_image)
    proposals = [
        Proposal(run.start, run.stop, fit, _figures(grafted, dtype), run.nodes)
        for _, run, fit, grafted in _best(tried)[:most]
    ]
    return Suggestion(_figures(graph, dtype), at_work[0].name, proposals)


def _worth_trying(run: Run) -> bool:
    """A run of neighbours within one module that leaves a map."""
    neighbours = run.start.rpartition(".")[0] == run.stop.rpartition(".")[0]
    return neighbours and min(run.out_shape[1:]) > 1


_Tried = tuple[int, Run, PoolFit, Graph]


def _best(tried: list[_Tried]) -> list[_Tried]:
    """Those that no other beats in both the peak and the number of operators replaced, by peak."""
    best: list[_Tried] = []
    for entry in sorted(tried, key=lambda entry: (entry[0], entry[1].nodes)):
        if not best or entry[1].nodes < best[-1][1].nodes:
            best.append(entry)
    return best


def _peak(graph: Graph, dtype: str, plan: str) -> tuple[int, list[Node]]:
    """The peak in bytes, and the nodes at work when it is reached."""
    if plan == "standard":
        standard = standard_peak(graph, dtype=dtype)
        return standard.peak, list(standard.block.nodes)
    rows = plan_rows(graph, dtype=dtype)
    phase = max(rows.phases, key=lambda phase: phase.bytes)
    return rows.peak, [node for step in rows.steps[phase.start : phase.stop] for node in step.nodes]


def _figures(graph: Graph, dtype: str) -> Figures:
    cost = count(graph)
    standard, rows = standard_peak(graph, dtype=dtype).peak, plan_rows(graph, dtype=dtype).peak
    return Figures(standard, rows, cost.madds.shared, cost.parameters)
