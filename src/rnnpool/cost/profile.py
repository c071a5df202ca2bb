"""Everything that ``rnnpool profile`` tells about a network, as data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from torch import nn

from rnnpool.cost.bound import Bound, lower_bound
from rnnpool.cost.count import Cost, as_graph, count
from rnnpool.cost.picture import PlannedBuffer, PlanPicture
from rnnpool.cost.standard import StandardPeak, standard_peak
from rnnpool.cost.steps import Step
from rnnpool.cost.stream import StreamPlan, layer_by_layer, plan_rows, retiled
from rnnpool.cost.tables.published import published_peak
from rnnpool.graph import Graph, Madds, Node
from rnnpool.graph.ops import Activation, Conv, Pool, RNNPool

TILE = 8  # columns at a time in the finer of the two row plans


@dataclass(frozen=True)
class Layer:
    """One step: operators that are computed together."""

    name: str
    operators: tuple[str, ...]
    shape: tuple[int, ...]
    parameters: int
    madds: Madds
    map_bytes: int  # the output, whole
    whole_bytes: int  # in use while the step runs, layer by layer on whole maps
    row_bytes: int  # kept for the step and its output in the plan by rows
    phase: int  # of the plan by rows


@dataclass(frozen=True)
class Profile:
    """``layers`` in the order of execution; memory in bytes."""

    graph: Graph
    cost: Cost
    layers: tuple[Layer, ...]
    standard: StandardPeak
    whole: StreamPlan  # layer by layer on whole maps
    rows: StreamPlan
    tiles: StreamPlan
    bound: Bound  # proved, on any plan of whole rows

    @property
    def picture(self) -> PlanPicture:
        """The plan by rows, to be drawn."""
        buffers = [PlannedBuffer(buffer.name, buffer.piece_bytes, buffer.spans) for buffer in self.rows.buffers]
        others = [("layer by layer", self.whole.peak)]
        if (paper := published_peak(self.graph.name, self.rows.precision.name, self.graph.image.shape)) is not None:
            others.append(("the paper", paper))
        others.append(("proved bound", self.bound.bytes))
        name = f"{self.graph.name}, {'x'.join(map(str, self.graph.image.shape))}, {self.rows.precision.name}"
        return PlanPicture(name, self.rows.peak, buffers, self.rows.lives.ends, others)

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "network": self.graph.name,
            "input": list(self.graph.image.shape),
            "dtype": self.rows.precision.name,
            "parameters": self.cost.parameters,
            "madds": asdict(self.cost.madds),
            "largest_map": {"layer": self.cost.largest.name, "shape": list(self.cost.largest.shape)},
            "peak_bytes": {
                "standard": self.standard.peak,
                "layer_by_layer": self.whole.peak,
                "rows": self.rows.peak,
                f"rows_in_tiles_of_{TILE}": self.tiles.peak,
            },
            "bound": asdict(self.bound),
            "arena": {"in_use_at_once": max(self.rows.used), "smallest": self.rows.placement.least,
                      "how": self.rows.placement.how},
            "phases": [
                {"first": self.rows.steps[phase.start].name, "steps": phase.stop - phase.start, "bytes": phase.bytes}
                for phase in self.rows.phases
            ],
            "forced_maps": [step.name for step in self.rows.forced_maps],
            "layers": [asdict(layer) for layer in self.layers],
            "buffers": [
                {"name": b.name, "kind": b.kind, "rows": b.rows, "width": b.width, "channels": b.channels,
                 "number": b.number, "bytes": b.bytes, "offsets": b.offsets, "phases": [b.first, b.last]}
                for b in self.rows.buffers
            ],
        }  # fmt: skip


def profile(
    network: nn.Module | Graph,
    input_shape: Sequence[int] | None = None,
    *,
    dtype: str = "float32",
    state: str | None = None,
) -> Profile:
    """Count and plan a network; see ``plan_rows`` for the arguments and errors."""
    graph = as_graph(network, input_shape)
    rows = plan_rows(graph, dtype=dtype, state=state)
    tiles = retiled(rows, TILE)
    whole = layer_by_layer(rows)
    layers = tuple(_layer(step, rows, whole) for step in rows.steps[1:])
    return Profile(
        graph, count(graph), layers, standard_peak(graph, dtype=dtype), whole, rows, tiles, lower_bound(rows)
    )


def _layer(step: Step, rows: StreamPlan, whole: StreamPlan) -> Layer:
    madds = Madds.of(0)
    for node in step.nodes:
        madds += node.madds
    parameters = sum(weight.numel() for node in step.nodes for weight in node.op.weights().values())
    bytes_of = rows.precision.activation
    kept = [buffer for buffer in rows.buffers if buffer.step.node is step.node]
    phase = next(index for index, phase in enumerate(rows.phases) if phase.start <= step.index < phase.stop)
    return Layer(
        step.name,
        tuple(_label(node) for node in step.nodes),
        step.node.shape,
        parameters,
        madds,
        step.node.size * bytes_of,
        whole.phases[step.index - 1].live,
        sum(buffer.bytes for buffer in kept),
        phase,
    )


def _label(node: Node) -> str:
    """A convolution as "dw 3x3 s2", an activation by its function, anything else by its kind."""
    op = node.op
    if isinstance(op, Activation):
        return op.function
    if not isinstance(op, Conv | Pool | RNNPool):
        return {"batch_norm": "norm"}.get(node.kind, node.kind.replace("_", " "))
    name = (
        f"{op.function} pool" if isinstance(op, Pool) else "dw" if isinstance(op, Conv) and op.depthwise else node.kind
    )
    return f"{name} {op.kernel[0]}x{op.kernel[1]}" + (f" s{op.stride[0]}" if op.stride[0] > 1 else "")
