"""Which blocks set a network's peak memory, and which RNNPool in their place would lower it, and at what cost.

Every run of whole modules between two waists that holds the peak is tried: an RNNPool fitted to its sizes is grafted
into the network's graph, and the result is planned and counted like any network. Nothing is executed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from rnnpool.cost import count
from rnnpool.cost.steps import Step, build_steps
from rnnpool.cost.stream import StreamPlan, plan_rows
from rnnpool.errors import InputError
from rnnpool.graph import Graph, Node, lower
from rnnpool.surgery.fit import PoolFit, fit_rnnpool
from rnnpool.surgery.probe import check_size
from rnnpool.surgery.waists import Run, graft, runs

PLANS = ("layers", "rows")
USUAL_HIDDEN = 32  # the published networks have 8 to 48


@dataclass(frozen=True)
class Figures:
    """What a network needs for one image.

    ``layers`` and ``rows`` are peaks in bytes: of whole maps, one step after another, except that an RNNPool takes in
    its input row by row; and of the best plan by rows (``cost.stream``), which ordinary networks profit from as well.
    """

    layers: int
    rows: int
    madds: int
    parameters: int
    peak: str  # what runs when ``layers`` is reached


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
        stop = f", {self.stop!r}" * (self.stop != self.start)
        hidden = f", hidden={self.fit.hidden[0]}"
        return f"rnnpool.replace({model}, {self.start!r}{stop}, input_size={tuple(input_size)}{hidden})".replace(
            "'", '"'
        )


def suggest(
    network: nn.Module,
    input_size: Sequence[int],
    *,
    dtype: str = "int8",
    plan: str = "layers",
    hidden: int | None = None,
    largest_stride: int = 4,
    most: int = 5,
) -> tuple[Figures, list[Proposal]]:
    """The network's figures, and the RNNPools that lower its peak, best first.

    Args:
        input_size: (C, H, W).
        dtype: of the maps, see ``cost.precision``.
        plan: which peak is to be lowered, "layers" or "rows".
        hidden: of the RNNPools; by default a quarter of the replaced run's channels, at most 32.
        largest_stride: of the RNNPools. The published networks have 4; a larger one replaces more blocks.
        most: proposals to return. None of them is beaten by another one in both the peak and how little it replaces.

    Raises:
        InputError: a network that cannot be lowered to a graph, or an unknown plan or dtype.
    """
    if plan not in PLANS:
        raise InputError(f"plan is {plan!r}; it may be {' or '.join(PLANS)}")
    graph = lower(network, check_size(input_size))
    base, peak_nodes = _figures(graph, dtype, plan)
    position = {node: i for i, node in enumerate(graph)}
    found = []
    for run in runs(graph):
        holds_peak = any(position[run.entry] < position[node] <= position[run.end] for node in peak_nodes)
        if not holds_peak or not _worth_trying(run):
            continue
        try:
            fit = fit_rnnpool(
                run.in_shape, run.out_shape, hidden=hidden or min(-(-run.out_shape[0] // 4), USUAL_HIDDEN)
            )
        except InputError:
            continue  # sizes that no RNNPool maps to each other: this run is no proposal
        if max(fit.stride) > largest_stride:
            continue
        with torch.device("meta"):
            layer = lower(fit.build(), run.in_shape)
        figures, _ = _figures(graft(graph, run, layer), dtype, plan)
        if getattr(figures, plan) < getattr(base, plan):
            found.append(Proposal(run.start, run.stop, fit, figures, run.nodes))
    return base, _best(found, plan)[:most]


def _worth_trying(run: Run) -> bool:
    """A run of neighbours within one module, behind at least one operator: the image itself has too few channels."""
    neighbours = run.start.rpartition(".")[0] == run.stop.rpartition(".")[0]
    return neighbours and run.entry.kind != "image" and min(run.out_shape[1:]) > 1


def _best(found: list[Proposal], plan: str) -> list[Proposal]:
    """Those that no other beats in both the peak and the number of operators replaced, by peak."""
    ordered = sorted(found, key=lambda proposal: (getattr(proposal.figures, plan), proposal.nodes))
    best: list[Proposal] = []
    for proposal in ordered:
        if not best or proposal.nodes < best[-1].nodes:
            best.append(proposal)
    return best


def _figures(graph: Graph, dtype: str, plan: str) -> tuple[Figures, list[Node]]:
    """The figures, and the nodes at work when the plan's peak is reached."""
    steps = build_steps(graph)
    cuts = [step.index for step in steps[2:] if not _pools(step)]
    layers = plan_rows(graph, dtype=dtype, cuts=cuts)
    rows = plan_rows(graph, dtype=dtype)
    at_work = _busiest(layers if plan == "layers" else rows)
    cost = count(graph)
    named = _busiest(layers)[0].name
    figures = Figures(layers.peak, rows.peak, cost.madds.shared, cost.parameters, named)
    return figures, [node for step in at_work for node in step.nodes]


def _pools(step: Step) -> bool:
    return any(node.kind == "rnnpool" for node in step.nodes)


def _busiest(plan: StreamPlan) -> list[Step]:
    """The steps of the phase that needs most memory."""
    phase = max(plan.phases, key=lambda phase: phase.bytes)
    return plan.steps[phase.start : phase.stop]
