"""The lower bound: against an exhaustive search over all orders of tiny networks; the flow against all cuts."""

from itertools import combinations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnnpool.cost.bound import lower_bound, resting_bound
from rnnpool.cost.maxflow import FlowNetwork
from rnnpool.cost.stream import StreamPlan, plan_rows

Item = tuple[str, int]


def least(plan: StreamPlan, *, resting: bool = False) -> int:
    """The smallest maximum, over all orders of computing rows, of what is in memory while a row is being made.

    ``resting``: of what is kept between two computations.
    """
    return search(plan, resting=resting)[0]


def search(plan: StreamPlan, *, resting: bool = False) -> tuple[int, dict[Item, int]]:
    """That, and for each row the least that can be in memory while it is being made.

    A search over sets of computed rows: a set's best order is the best way to reach it. Steps that take rows in are
    not handled.
    """
    weight, reads = {}, {}
    for step in plan.steps:
        assert not step.takes
        for row in range(step.rows):
            item = (step.name, row)
            weight[item] = step.width * step.channels * plan.precision.activation
            reads[item] = {
                (read.source.name, each)
                for read in step.reads
                if read.last[row] >= 0
                for each in range(read.first[row], read.last[row] + 1)
            }
    below = {(name, row): (name, row - 1) for name, row in weight if row}

    def kept(done: frozenset[Item]) -> int:
        needed = {item for other in weight if other not in done for item in reads[other]}
        return sum(weight[item] for item in done & needed)

    moments: dict[Item, int] = {}
    best = {frozenset(): 0}
    layer = [frozenset()]
    for _ in weight:
        following: dict[frozenset[Item], int] = {}
        for done in layer:
            for item in weight:
                ready = item not in done and reads[item] <= done and below.get(item, item) in done | {item}
                if ready:
                    more = done | {item}
                    moments[item] = min(moments.get(item, 1 << 60), kept(done) + weight[item])
                    peak = max(best[done], kept(more) if resting else kept(done) + weight[item])
                    following[more] = min(following.get(more, peak), peak)
        best |= following
        layer = list(following)
    return best[frozenset(weight)], moments


class Sum(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x) + self.body(x)


TINY = {
    "chain": nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 2, 3, padding=1)),
    "stride": nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.Conv2d(4, 2, 3, padding=1)),
    "widening": nn.Sequential(nn.Conv2d(2, 9, 1), nn.Conv2d(9, 1, 3, padding=1)),
    "residual": Sum(nn.Conv2d(2, 2, 3, padding=1)),
    "valid": nn.Sequential(nn.Conv2d(2, 3, 2), nn.Conv2d(3, 1, 2)),
}


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("height", [4, 5])
def test_bound_is_below_the_best_of_all_orders(name: str, height: int) -> None:
    channels = next(m for m in TINY[name].modules() if isinstance(m, nn.Conv2d)).in_channels
    plan = plan_rows(TINY[name], (channels, height, 3), dtype="int8", cuts=())
    best, moments = search(plan)
    assert lower_bound(plan).bytes == max(moments.values()) <= best <= max(plan.used) <= plan.peak
    assert 0 < resting_bound(plan.steps, plan.precision).bytes <= least(plan, resting=True)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from([1, 3]), st.sampled_from([1, 2])), min_size=1, max_size=3),
    st.integers(3, 6),
    st.booleans(),
)
def test_bound_is_below_the_best_order_of_any_chain(
    layers: list[tuple[int, int, int]], height: int, summed: bool
) -> None:
    convolutions, channels = [], 2
    for out, kernel, stride in layers:
        convolutions.append(nn.Conv2d(channels, out, kernel, stride, kernel // 2))
        channels = out
    body = nn.Sequential(*convolutions)
    net = Sum(nn.Conv2d(2, 2, 3, padding=1)) if summed else body
    plan = plan_rows(net, (2, height, 3), dtype="int8")
    best, moments = search(plan)
    found = lower_bound(plan, effort=10**9).bytes
    assert found <= max(moments.values()) <= best <= max(plan.used) <= plan.peak
    if height <= 5:  # higher, some rows are not tried
        assert found == max(moments.values())


def test_the_bound_is_met_by_a_chain() -> None:
    """A tall image: two rows of each 3x3's input is what any order keeps, and what rings keep at rest.

    To make a row of the second convolution, three of the first's are there, two of the image, and the row itself.
    """
    chain = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 2, 3, padding=1))
    plan = plan_rows(chain, (1, 20, 10), dtype="int8", cuts=())
    rings = sum(b.bytes for b in plan.buffers if b.kind == "ring")
    assert resting_bound(plan.steps, plan.precision).bytes == rings == 2 * 10 + 2 * 30
    assert lower_bound(plan).bytes == 2 * 10 + 3 * 30 + 20 == plan.peak


def test_a_global_operator_raises_the_bound_to_its_map() -> None:
    class Excited(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 5, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return x * torch.sigmoid(x.mean((2, 3), keepdim=True))

    found = lower_bound(plan_rows(Excited(), (1, 8, 6), dtype="int8"))
    assert found.bytes >= 5 * 8 * 6
    assert "is being made" in found.moment


def test_a_plan_below_its_bound_is_refused() -> None:
    plan = plan_rows(TINY["chain"], (1, 8, 6), dtype="int8")
    plan.peak = 1
    with pytest.raises(AssertionError, match="below the bound"):
        lower_bound(plan)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 9)), max_size=14))
def test_maximum_flow_is_the_minimum_cut(edges: list[tuple[int, int, int]]) -> None:
    network = FlowNetwork(6)
    edges = [edge for edge in edges if edge[0] != edge[1]]
    for edge in edges:
        network.add(*edge)
    value = network.solve(0, 5)
    network.check(0, 5, value)
    sides = [{0, *inner} for size in range(5) for inner in combinations(range(1, 5), size)]
    assert value == min(sum(c for a, b, c in edges if a in side and b not in side) for side in sides)


def test_a_wrong_flow_is_noticed() -> None:
    network = FlowNetwork(3)
    network.add(0, 1, 4)
    network.add(1, 2, 3)
    value = network.solve(0, 2)
    with pytest.raises(AssertionError, match="lost or made"):
        network.check(0, 2, value + 1)
