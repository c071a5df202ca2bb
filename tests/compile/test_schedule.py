"""Nothing in use is overwritten, by playing the compiled schedule over named bytes; and the RAM of known networks."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from rnnpool.compile.lifetimes import LANDS
from rnnpool.compile.places import Place
from rnnpool.compile.schedule import Plan, plan_arena
from rnnpool.compile.stages import Stage, build_stages
from rnnpool.errors import InputError
from rnnpool.graph import lower
from rnnpool.integer.calibrate import METHODS, observe
from rnnpool.integer.fuse import fuse
from rnnpool.integer.network import IntNetwork
from rnnpool.integer.quantise import quantise
from rnnpool.integer.rnnpool2d import IntRNNPool
from rnnpool.models import create_model
from rnnpool.models.blocks import MBConv
from rnnpool.nn import RNNPool2d


def integers(model: nn.Module, shape: tuple[int, int, int]) -> IntNetwork:
    """With the untrained weights, RNNPool's memory in 8 bits."""
    network = fuse(lower(model.eval(), shape))
    network = quantise(network, observe(network, [torch.rand(1, *shape) * 2 - 1]), METHODS["minmax"])
    nodes = tuple(
        replace(node, op=replace(node.op, narrow=True)) if isinstance(node.op, IntRNNPool) else node
        for node in network.nodes
    )
    return replace(network, nodes=nodes)


class Branches(nn.Module):
    """Everything that shares memory in its own way: RNNPool and its border, blocks of both strides, sums, two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, 2, 1)
        self.pool = RNNPool2d(4, 4, 8, 4, 2, output_padding="replicate")
        self.blocks = nn.Sequential(MBConv(32, 64, 8), MBConv(8, 24, 8), MBConv(8, 24, 12, 2), MBConv(12, 48, 24))
        self.heads = nn.ModuleList([nn.Conv2d(32, 2, 3, 1, 1), nn.Conv2d(24, 3, 3, 1, 1)])

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = self.pool(self.stem(x))
        return [self.heads[0](x), self.heads[1](self.blocks(x))]


def row_bytes(place: Place, offset: int) -> range:
    """The bytes of a row whose pixel 0 is at ``offset``."""
    return range(offset, offset + place.channels * place.stride - (place.stride - place.stage.width))


class Arena:
    """An arena in which every byte knows whose it is: a value and a row."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.owner: list[tuple[str, int] | None] = [None] * plan.bytes
        self.made = dict.fromkeys(plan.stages, 0)
        self.calls = dict.fromkeys(plan.stages, 0)
        self.landed: dict[Stage, int] = dict.fromkeys(plan.stages, 0)
        self.taken = dict.fromkeys(plan.stages, 0)

    def address(self, stage: Stage, row: int) -> int:
        """As rnp_find_row computes it."""
        place = self.plan.places[stage]
        if place.arriving is not None and row >= self.landed[stage]:
            return place.arriving
        return place.ring[row % len(place.ring)]

    def fill(self, stage: Stage, row: int, offset: int) -> None:
        for byte in row_bytes(self.plan.places[stage], offset):
            self.owner[byte] = (stage.name, row)

    def check(self, stage: Stage, row: int) -> None:
        place = self.plan.places[stage]
        for byte in row_bytes(place, self.address(stage, row)):
            owner = self.owner[byte]
            # A border is the row of its source with pixels around it.
            assert owner == (stage.name, row) or (
                place.host is not None and stage.kind == "border" and owner == (place.host.stage.name, row)
            ), f"row {row} of {stage.name} is {owner}"

    def make(self, stage: Stage) -> None:
        row = self.made[stage]
        self.made[stage] += 1
        if stage in self.plan.places:
            self.fill(stage, row, self.address(stage, row))
            if self.plan.places[stage].arriving is None:
                self.landed[stage] = self.made[stage]

    def land(self, stage: Stage) -> None:
        row = self.made[stage] - 1
        self.check(stage, row)
        self.landed[stage] = self.made[stage]
        self.fill(stage, row, self.address(stage, row))

    def scribble(self, stage: Stage) -> None:
        """What a call uses besides rows holds nothing else."""
        for (owner, kind), offset in self.plan.offsets.items():
            if owner is stage and kind < -1:
                size = next(buffer.bytes for buffer in self.plan.buffers if buffer.offset == offset and buffer.bytes)
                for byte in range(offset, offset + size):
                    self.owner[byte] = None

    def call(self, stage: Stage) -> None:
        """A stage's function: it reads the rows of its act, and makes a row if that is due."""
        self.scribble(stage)
        if not stage.takes:
            for read in stage.reads:
                for row in range(read.first[self.made[stage]], read.last[self.made[stage]] + 1):
                    self.check(read.source, row)  # type: ignore[arg-type]
            self.make(stage)
            return
        due = self.made[stage] < stage.rows and stage.after[self.made[stage]] < self.taken[stage]
        if not due:
            self.check(stage.sources[0], self.taken[stage])
            self.taken[stage] += 1
        if due or (not stage.gives_apart and stage.after[self.made[stage]] < self.taken[stage]):
            self.make(stage)


class TwoDepthwise(nn.Module):
    """Two depthwise convolutions of one map: what the first to act would overwrite, the other still reads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, 4, 3, 1, 1), nn.Conv2d(4, 2, 1)
        self.same, self.down = nn.Conv2d(4, 4, 3, 1, 1, groups=4), nn.Conv2d(4, 4, 3, 2, 1, groups=4)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = torch.relu(self.stem(x))
        return [self.head(self.same(x)), self.head(self.down(x))]


def play(plan: Plan) -> None:
    """Work off the schedule; every row must be there whenever it is read."""
    arena = Arena(plan)
    for entries in plan.acts:
        arena.make(plan.stages[0])
        for entry in entries:
            if entry & LANDS:
                arena.land(plan.stages[entry ^ LANDS])
            else:
                arena.call(plan.stages[entry])
    assert all(arena.made[stage] == stage.rows for stage in plan.stages)


@pytest.mark.parametrize("cuts", [(), (4, 8), None])
@pytest.mark.parametrize("shape", [(1, 50, 46), (1, 37, 61)])
def test_rows_are_there_when_they_are_read(shape, cuts):
    torch.manual_seed(0)
    stages = build_stages(integers(Branches(), shape))
    assert {"expand", "sums", "border", "rnnpool", "depthwise"} <= {stage.kind for stage in stages}
    plan = plan_arena(stages, cuts)
    assert any(place.host is not None for place in plan.places.values())
    play(plan)
    assert plan.bytes >= plan.placement.least


def test_a_map_may_have_two_depthwise_readers():
    torch.manual_seed(0)
    play(plan_arena(build_stages(integers(TwoDepthwise(), (1, 14, 18)))))


def test_pieces_in_use_at_the_same_moment_do_not_overlap():
    torch.manual_seed(0)
    plan = plan_arena(build_stages(integers(Branches(), (1, 50, 46))))
    for a, b in itertools.combinations(plan.buffers, 2):
        apart = a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset
        assert apart or all(x[1] < y[0] or y[1] < x[0] for x in a.spans for y in b.spans), (a.name, b.name)
    assert sum(size for _, size in plan.fullest()) <= plan.bytes


@pytest.mark.parametrize(
    ("name", "shape", "limit"),
    [
        ("face-m4", (1, 240, 320), 51_000),
        ("face-tiny", (1, 240, 320), 53_500),
        ("mobilenet_v2_035", (3, 144, 144), 25_500),
        ("mobilenet_v2_035-rnnpool", (3, 224, 224), 21_000),
        ("mlperf_vww", (3, 96, 96), 12_500),
    ],
)
def test_arenas_stay_small(name, shape, limit):
    """The arena alone: an image row of the caller, its stack and what it does with results come on top."""
    torch.manual_seed(0)
    assert plan_arena(build_stages(integers(create_model(name), shape))).bytes <= limit


def test_too_many_rows():
    network = integers(nn.Conv2d(1, 2, 1), (1, 1 << 15, 1))
    with pytest.raises(InputError, match="the image has 32768 rows; at most 32767"):
        plan_arena(build_stages(network))
    assert np.prod(network.image.shape) == 1 << 15
