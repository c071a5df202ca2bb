"""The C of each stage: its constants, and the body of its function."""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from rnnpool.compile import convolution_code, operator_code
from rnnpool.compile.c_text import Code, comma_lines, literal, zero_point
from rnnpool.compile.pack import round_up
from rnnpool.compile.places import Place, slack
from rnnpool.compile.schedule import ALIGNMENT, Plan
from rnnpool.compile.stages import Stage
from rnnpool.integer.network import IntNetwork, IntNode
from rnnpool.integer.tensors import Quantisation

_C_TYPES = {"i1": "int8_t", "u4": "uint32_t", "i4": "int32_t", "i2": "int16_t"}


class StageCode:
    """Constants and bodies of the stages."""

    def __init__(self, network: IntNetwork, plan: Plan) -> None:
        self.network, self.plan = network, plan
        self.arrays: list[tuple[str, NDArray]] = []
        self.ring_slots: list[int] = []  # of all stages, one after the other
        # Bytes before the first pixel of rows of zero points, which kernels read as padding.
        self.lead = max([ALIGNMENT, *(round_up(place.gap, ALIGNMENT) for place in plan.places.values())])

    def stage(self, stage: Stage) -> dict[str, Any]:
        """What the template says of a stage."""
        place = self.plan.places.get(stage)
        emitted: dict[str, Any] = {
            "index": stage.index,
            "name": stage.last.name,
            "comment": f"{stage.index}: {stage.kind} {', '.join(node.name for node in stage.ints)}"
            + ("" if stage.added is None else f", + {stage.added.name}"),
            "channels": stage.channels if place is None else place.channels,
            "stride": 0 if place is None else place.stride,
            "width": stage.width,
            "height": stage.rows,
            "slots": 0 if place is None else len(place.ring),
            "ring": self._ring(place),
            "arriving": "RNP_NOWHERE" if place is None or place.arriving is None else str(place.arriving),
            "zeros": "NULL" if stage.wide else f"zeros_{zero_point(stage)} + {self.lead}",
            "constants": [],
            "body": [],
        }
        if stage.kind != "image":
            constants, body = _CODE[stage.kind](self, stage)
            emitted["constants"] = constants
            emitted["body"] = body
        return emitted

    def _ring(self, place: Place | None) -> str:
        """The slots of a value's ring, put behind those of the others."""
        if place is None or not place.ring:
            return "NULL"
        begin = len(self.ring_slots)
        self.ring_slots += place.ring
        return f"ring_slots + {begin}"

    def at(self, stage: Stage, kind: int) -> str:
        """The address of what a stage keeps or needs."""
        return f"stream->arena + {self.plan.offsets[stage, kind]}"

    def zeros(self) -> list[tuple[int, int]]:
        """Rows of zero points: value and bytes, with ``lead`` bytes before the first pixel."""
        widest: dict[int, int] = {}
        for stage in self.plan.stages:
            if not stage.wide:
                zero = zero_point(stage)
                widest[zero] = max(widest.get(zero, 0), stage.width)
        behind = slack(self.plan.stages)
        return [(zero, self.lead + round_up(width) + behind) for zero, width in sorted(widest.items())]

    def weights(self, title: str) -> str:
        """The header of constants."""
        parts = [f"/* {title}: packed weights (formats: rnp_pointwise.h, rnp_depthwise.h, rnp_fastgrnn.h). */"]
        for name, array in self.arrays:
            kind = _C_TYPES[array.dtype.str[1:]]
            unsigned = array.dtype.kind == "u"
            numbers = [f"0x{v:x}u" if unsigned else literal(v) for v in array.reshape(-1).tolist()]
            parts.append(f"static const {kind} {name}[{array.size}] __attribute__((aligned(8))) = {{")
            parts += [f"    {line}," for line in comma_lines(numbers)]
            parts.append("};")
        return "\n".join(parts) + "\n"

    def keep(self, stage: Stage, name: str, array: NDArray) -> str:
        """Put an array among the constants; its name in C."""
        full = f"{name}_{stage.index}"
        self.arrays.append((full, array))
        return full

    def row_made(self, stage: Stage) -> list[str]:
        """After a stage has written its next row."""
        return [self.trace(stage, stage.last), f"rnp_row_made(stream, {stage.index});"]

    def trace(self, stage: Stage, node: IntNode) -> str:
        """Shows what lies in the stage's next row as a node's next row: a sum in place makes it that of another one."""
        number = [known.name for known in self.network.nodes].index(node.name)
        i, place = stage.index, self.plan.places[stage]
        return (
            f"RNP_TRACE({number}, stream->progress[{i}].made, rnp_next_row(stream, {i}), {place.channels}, "
            f"{place.stride});"
        )

    def place(self, stage: Stage) -> tuple[int, int]:
        """Channel stride and zero point of the stage's bytes; of int16 rows the numbers from pixel to pixel, and 0."""
        if stage.wide:
            return round_up(stage.channels, 2), 0
        node = stage.ints[-1]
        assert isinstance(node.output, Quantisation)
        return self.plan.places[stage].stride, node.output.zero_point

    def output_number(self, stage: Stage) -> int:
        """Which output of the network the stage gives."""
        return [self.network.nodes[output].name for output in self.network.outputs].index(stage.last.name)


_CODE: dict[str, Callable[[StageCode, Stage], Code]] = {
    "conv": convolution_code.conv,
    "pair": convolution_code.pair,
    "expand": convolution_code.expand,
    "sums": convolution_code.sums,
    "depthwise": convolution_code.depthwise,
    "rnnpool": operator_code.rnnpool,
    "add": operator_code.add,
    "mean": operator_code.mean,
    "border": operator_code.border,
    "l2norm": operator_code.l2norm,
}
