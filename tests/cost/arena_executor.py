"""The slow twin of a plan: a network executed row by row inside the plan's arena, and nowhere else.

Every row lives where its buffer's offset says, in an array of exactly ``plan.peak`` bytes; a row that the plan does not
keep is lost, and a buffer that overlaps a live one destroys it. What an operator holds is written over with noise at
every act. Inputs of a step are maps of NaN but for the rows found in the arena, so a row that is needed and not kept
shows in the result.
"""

import numpy as np
import torch
from torch import Tensor

from rnnpool.cost.steps import Step
from rnnpool.cost.stream import ARRIVING, HELD, MAP, Buffer, StreamPlan
from rnnpool.graph import Node
from rnnpool.graph.op import as_map

BYTES = 8  # plans are made for float64, whose states and sums have 8 bytes as well


def execute(plan: StreamPlan, image: Tensor) -> list[Tensor]:
    """The graph's outputs for one float64 image (C, H, W)."""
    assert plan.precision.name == "float64"
    return _Machine(plan, image).run()


class _Machine:
    def __init__(self, plan: StreamPlan, image: Tensor) -> None:
        self.plan, self.image = plan, image
        self.arena = np.full(plan.peak // BYTES, np.nan)
        self.noise = np.random.default_rng(0)
        self.buffers: dict[Step, dict[str, Buffer]] = {}
        for buffer in plan.buffers:
            if buffer.kind != HELD:
                self.buffers.setdefault(buffer.step, {})[buffer.kind] = buffer
        self.where: dict[Step, dict[int, tuple[str, int]]] = {step: {} for step in plan.steps}  # row -> buffer, slot
        self.made = dict.fromkeys(plan.steps, 0)
        self.acted = dict.fromkeys(plan.steps, 0)
        self.taken: dict[Step, Tensor] = {}  # what a taking operator has seen: its state, in the test's own memory
        self.emitted: dict[Step, list[Tensor]] = {step: [] for step in plan.steps}

    @torch.no_grad()
    def run(self) -> list[Tensor]:
        for phase in self.plan.phases:
            done = 0
            for arrival, end in enumerate(phase.run.arrivals):
                if phase.start == 1:
                    self.store(self.plan.steps[0], arrival, self.image[:, arrival])
                    self.settle()
                for step, act in phase.run.acts[done:end]:
                    row = act - step.takes
                    assert act == self.acted[step] if row < 0 else row == self.made[step], "an act out of order"
                    self.act(step, act)
                done = end
        return [self.output(node) for node in self.plan.graph.outputs]

    def act(self, step: Step, act: int) -> None:
        for buffer in self.plan.buffers:
            if buffer.kind == HELD and buffer.step is step:
                start, size = buffer.offsets[0] // BYTES, buffer.bytes // BYTES
                self.arena[start : start + size] = self.noise.normal(size=size)
        if step.takes and act < step.takes:
            rows = self.value(step.nodes[0].inputs[0])[:, act]
            seen = self.taken.setdefault(step, torch.full(self._shape(step.nodes[0].inputs[0]), torch.nan).double())
            seen[:, act] = rows
            self.acted[step] += 1
        elif step.takes:
            assert step.after[act - step.takes] < self.acted[step]
            self.store(step, act - step.takes, self.compute(step, act - step.takes))
        else:
            self.store(step, act, self.compute(step, act))
            self.acted[step] += 1
        self.settle()

    def compute(self, step: Step, row: int) -> Tensor:
        """Output row ``row``, (C, W), from rows in the arena."""
        values: dict[Node, Tensor] = {}
        for node in step.nodes:
            inputs = []
            for source in node.inputs:
                if source in values:
                    inputs.append(values[source])
                elif step.takes and node is step.nodes[0]:
                    inputs.append(self.taken[step])
                else:
                    inputs.append(self.value(source))
            values[node] = node.op.run(
                *(value.reshape(1, *source.shape) for value, source in zip(inputs, node.inputs, strict=True))
            )[0]
        return values[step.node].reshape(self._shape(step.node))[:, row]

    def value(self, node: Node) -> Tensor:
        """A node's value as far as the arena holds it, NaN elsewhere."""
        for step in self.plan.steps:
            if step.node is node:
                full = torch.full(self._shape(node), torch.nan).double()
                for row in self.where[step]:
                    full[:, row] = self.load(step, row)
                return full
        parts = [self.value(source).reshape(1, *source.shape) for source in node.inputs]
        return node.op.run(*parts)[0].reshape(self._shape(node))

    def store(self, step: Step, row: int, values: Tensor) -> None:
        self.made[step] += 1
        self.emitted[step].append(values.clone())
        buffers = self.buffers.get(step, {})
        if MAP in buffers:
            place = MAP, row
        elif ARRIVING in buffers:
            assert not any(kind == ARRIVING for kind, _ in self.where[step].values()), (
                f"{step}: two rows arrive at once"
            )
            place = ARRIVING, 0
        else:
            place = "ring", self.slot(step, row)
        self.where[step][row] = place
        self.write(step, place, values)

    def slot(self, step: Step, row: int) -> int:
        """Row r's slot of a ring, which has to be free."""
        self.forget(step)
        slot = row % self.buffers[step]["ring"].rows
        assert ("ring", slot) not in self.where[step].values(), f"{step}: the ring is full"
        return slot

    def settle(self) -> None:
        """Arriving rows move into their rings as soon as there is room; dead ones vanish."""
        for step, buffers in self.buffers.items():
            arrived = [row for row, (kind, _) in self.where[step].items() if kind == ARRIVING]
            if not arrived:
                continue
            self.forget(step)
            if arrived[0] not in self.where[step] or "ring" not in buffers:
                continue
            place = "ring", arrived[0] % buffers["ring"].rows
            if place not in self.where[step].values():
                values = self.load(step, arrived[0])
                self.where[step][arrived[0]] = place
                self.write(step, place, values)

    def forget(self, step: Step) -> None:
        """Drop rows that nobody in this phase needs any more."""
        if MAP in self.buffers.get(step, {}):
            return
        low = self.made[step]
        for reader in step.readers:
            for read in reader.reads:
                if read.source is step:
                    act = self.acted[reader]
                    low = min(low, read.first[act] if act < len(read.first) else step.rows)
        for row in [row for row in self.where[step] if row < low]:
            del self.where[step][row]

    def _place(self, step: Step, place: tuple[str, int]) -> slice:
        buffer = self.buffers[step][place[0]]
        channels, _, width = self._shape(step.node)
        assert buffer.width >= width
        row = buffer.width * buffer.channels
        assert 0 <= place[1] < buffer.rows
        start = buffer.offsets[place[1]] // BYTES
        assert row * BYTES == buffer.piece_bytes
        return slice(start, start + channels * width)

    def write(self, step: Step, place: tuple[str, int], values: Tensor) -> None:
        self.arena[self._place(step, place)] = values.numpy().reshape(-1)

    def load(self, step: Step, row: int) -> Tensor:
        channels, _, width = self._shape(step.node)
        return torch.from_numpy(self.arena[self._place(step, self.where[step][row])].copy()).reshape(channels, width)

    def output(self, node: Node) -> Tensor:
        """An output, from the rows that were handed out as they were made."""
        full = {step.node: torch.stack(rows, 1) for step, rows in self.emitted.items() if rows}
        return self._from_emitted(node, full).reshape(node.shape)

    def _from_emitted(self, node: Node, full: dict[Node, Tensor]) -> Tensor:
        if node in full:
            return full[node]
        assert node.op.view, f"{node} is read through, but its value is a step's"
        parts = [self._from_emitted(source, full).reshape(1, *source.shape) for source in node.inputs]
        return node.op.run(*parts)[0]

    @staticmethod
    def _shape(node: Node) -> tuple[int, int, int]:
        return as_map(node.shape)
