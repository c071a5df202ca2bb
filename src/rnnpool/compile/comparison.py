"""What a compiled plan is compared with, and its picture: layer by layer, the paper's figure, a proved lower bound."""

from pathlib import Path

from rnnpool.compile.places import KEPT
from rnnpool.compile.schedule import LANDS, Plan, stage_bytes
from rnnpool.cost.bound import resting_bound
from rnnpool.cost.picture import PlannedBuffer, PlanPicture, draw_plan
from rnnpool.cost.precision import precision
from rnnpool.cost.steps import Step
from rnnpool.cost.tables.published import published_peak
from rnnpool.graph.op import numel
from rnnpool.integer.elementwise import IntAdd
from rnnpool.integer.network import IntNetwork

MOMENTS = 20  # that the bound looks at


def compare(plan: Plan, network: IntNetwork) -> list[tuple[str, int]]:
    """Names and bytes of other plans and of the bound."""
    others = [("layer by layer, whole maps", layer_by_layer(network))]
    if (paper := published_peak(network.name, "int8", network.image.shape)) is not None:
        others.append(("the RNNPool paper", paper))
    kept: dict[Step, int] = {stage: stage_bytes(stage)[KEPT] for stage in plan.stages}
    beside = [stage for stage in plan.stages if stage.kind not in ("depthwise", "border")]
    bound = resting_bound(plan.stages, precision("int8"), beside=beside, kept=kept, moments=MOMENTS)
    if bound.bytes > plan.bytes:
        raise AssertionError(f"a plan of {plan.bytes} bytes lies below the bound {bound.bytes}: one of them is wrong")
    return [*others, ("proved bound for any order of these rows", bound.bytes)]


def layer_by_layer(network: IntNetwork) -> int:
    """The most bytes of whole maps that are needed at once; the image comes by rows, sums are made in place."""
    last = {source: number for number, node in enumerate(network.nodes) for source in node.inputs}
    sizes = [numel(node.shape) if number else 0 for number, node in enumerate(network.nodes)]
    most = 0
    for number, node in enumerate(network.nodes):
        used = sum(size for i, size in enumerate(sizes[: number + 1]) if last.get(i, i) >= number)
        if isinstance(node.op, IntAdd) and any(last[source] == number for source in node.inputs):
            used -= sizes[number]
        most = max(most, used)
    return most


def draw(plan: Plan, network: IntNetwork, path: Path) -> None:
    """Write a picture of the plan; see ``draw_plan`` for the errors."""
    found: dict[tuple[str, int], PlannedBuffer] = {}
    for buffer in plan.buffers:
        before = found.get((buffer.name, buffer.bytes))
        pieces = [*(before.pieces if before else ()), buffer.spans]
        found[buffer.name, buffer.bytes] = PlannedBuffer(buffer.name, buffer.bytes, pieces)
    title = f"{network.name}, {'x'.join(map(str, network.image.shape))}, as C"
    draw_plan(PlanPicture(title, plan.bytes, list(found.values()), phase_ends(plan), compare(plan, network)), path)


def phase_ends(plan: Plan) -> list[int]:
    """The moment after the last of each phase: arrivals of image rows and entries of the schedule are moments."""
    ends, moment = [], 0
    cuts = list(plan.cuts)
    for entries in plan.acts:
        moment += 1
        for entry in entries:
            if cuts and LANDS > entry >= cuts[0]:
                ends.append(moment)
                del cuts[0]
            moment += 1
    return [*ends, moment]
