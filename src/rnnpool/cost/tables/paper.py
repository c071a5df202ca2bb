"""The paper's tables of costs: 1, 2, 3, 4, 5, 8, 16 and 18."""

from collections.abc import Iterable

from rnnpool.cost.bound import lower_bound
from rnnpool.cost.partition import best_partition
from rnnpool.cost.tables.networks import graph_of, rows_of, standard_of
from rnnpool.cost.tables.published import (
    FACES,
    KIB,
    M4_MADDS,
    M4_PEAK,
    M4_SIZE,
    MIB,
    SSDLITE_MADDS,
    SSDLITE_PEAK,
    SSDLITE_SIZE,
    STANDARD_MIB,
    VWW_KIB,
    WITHOUT_RECOMPUTATION_MIB,
)
from rnnpool.cost.tables.table import CostTable, Figure, Row
from rnnpool.models.classification.published import AGREE_BY_CHANCE, PUBLISHED, reason

MILLION = 1e6
COUNT = "MAdds are the paper's count: half of a patch's, times the padded outputs of RNNPool."
ENDINGS = ("", "-last", "-avg", "-max", "-strided", "-renet", "-rnnpool", "-rnnpool-last")
E1_NOTES = {  # why table 8 differs; ours minimises the formula of E.1 over all runs of blocks
    "mobilenet_v2": "0.84 is the formula for the layers from the image to the last map of 56 x 56; others need less",
    "efficientnet_b0": "0.84 is that of the layers up to 56 x 56, as if squeeze-and-excitation needed no whole map",
    "efficientnet_b0-rnnpool": "table 2 prints 0.25 for the same block; 0.24 is MobileNetV2-RNNPool's",
    "resnet18": "0.81 is the formula for the image, the stem and its first pooling; longer runs need less",
    "densenet121": "the paper's partition is not printed, and no run of blocks has 2.38; ours needs less",
    "googlenet": "1.01 is inception 3a, 3b and their pooling without the rows that 3b leaves for it",
    "googlenet-rnnpool": "0.59 is inception 4d, 4e and their pooling as one run; 4d by itself needs less",
}
NOT_HERE = "the paper's costs are not in the sources that this project has"


def _millions(value: float | None) -> float | None:
    return None if value is None else value * MILLION


def _counted(name: str) -> tuple[Figure, Figure]:
    """Parameters and multiply-adds of a classifier beside the printed ones."""
    graph, paper = graph_of(name), PUBLISHED.get(name)
    if paper is None:
        return Figure(graph.parameters, None, MILLION, 3), Figure(graph.madds.paper, None, MILLION, 1)
    return (
        Figure(graph.parameters, _millions(paper.parameters), MILLION, 3, paper.digits[0]),
        Figure(graph.madds.paper, _millions(paper.madds), MILLION, 1, paper.digits[1]),
    )


def _peak(name: str, paper: float, *, kib: bool = False) -> Figure:
    """The standard convention's peak in bytes beside the printed one: float32 in MiB, or int8 in KiB."""
    if kib:
        return Figure(standard_of(name, "int8").peak, paper, KIB, 1, 0 if paper % KIB == 0 else 2, " KiB")
    return Figure(standard_of(name).peak, paper, MIB, 3, 2)


def _note(name: str, figures: Iterable[Figure]) -> str:
    """The known reason, where a figure differs by more than the last printed digit, or agrees by chance."""
    if name in AGREE_BY_CHANCE:
        return reason(name)
    return (reason(name) or "unknown") if any(figure.difference for figure in figures) else ""


def table_1() -> CostTable:
    """Downsampling and pooling operators in three networks."""
    rows = []
    for family in ("mobilenet_v2", "densenet121", "mobilenet_v2_035"):
        for ending in ENDINGS:
            name = family + ending
            figures = _counted(name)
            rows.append(Row(name, figures, _note(name, figures)))
    title = "Table 1: what replaces the early blocks (ImageNet-10; Visual Wake Words for width 0.35)"
    return CostTable("1", title, ("params, M", "MAdds, M"), tuple(rows), (COUNT,))


def table_2() -> CostTable:
    """Architectures without and with RNNPool."""
    rows = []
    for family, peaks in STANDARD_MIB.items():
        if family != "mobilenet_v1":
            rows += [_with_peak(family + ending, peak) for ending, peak in zip(("", "-rnnpool"), peaks, strict=True)]
    for name, kib in zip(("mobilenet_v2_035", "mobilenet_v2_035-rnnpool"), VWW_KIB, strict=True):
        peak = _peak(name, kib * KIB, kib=True)
        note = "int8; " + reason(name)
        rows.append(Row(name, (peak, *_counted(name)), note))
    title = "Table 2: peak RAM by the standard convention (appendix E.2), float32 unless noted"
    return CostTable("2", title, ("peak, MiB", "params, M", "MAdds, M"), tuple(rows), (COUNT,))


def _with_peak(name: str, peak: float) -> Row:
    figures = (_peak(name, peak * MIB), *_counted(name))
    return Row(name, figures, _note(name, figures))


def table_3() -> CostTable:
    """ImageNet-1K."""
    peaks = STANDARD_MIB["mobilenet_v1"]
    rows = []
    for name, peak in zip(("mobilenet_v1", "mobilenet_v1-rnnpool"), peaks, strict=True):
        rows.append(_with_peak(name, peak))
    title = "Table 3: MobileNetV1 on ImageNet-1K"
    return CostTable("3", title, ("peak, MiB", "params, M", "MAdds, M"), tuple(rows), (COUNT,))


FACE_NOTES = {
    "face-a": "the paper's expansion of 2 in the last rows would make 0.12M parameters; with 1 it prints 0.06M",
    "face-b": "the paper's table, counted literally, has more parameters than it prints",
    "face-c": "the reference code's network, of as many parameters; all of RNNPool's patches would make 1.94G",
    "face-quant": "the reference code's network; without the two convolutions before RNNPool it would be 0.12G",
}


def table_4() -> CostTable:
    """Face detectors on WIDER FACE."""
    rows = []
    for row in FACES:
        if row.model is None:
            peak = Figure(None, row.peak, KIB, 0, suffix=" KiB") if row.dtype == "int8" else Figure(None, row.peak, MIB)
            others = Figure(None, row.parameters, MILLION), Figure(None, row.madds, 1e9)
            rows.append(Row(row.name, (peak, *others), quoted=True))
            continue
        graph = graph_of(row.model)
        figures = (
            _peak(row.model, row.peak, kib=row.dtype == "int8"),
            Figure(graph.parameters, row.parameters, MILLION, 3, 2),
            Figure(graph.madds.paper, row.madds, 1e9, 3, 2),
        )
        differs = any(figure.difference for figure in figures)
        rows.append(Row(f"{row.name} ({row.dtype})", figures, FACE_NOTES[row.model] if differs else ""))
    notes = (COUNT, "Predictors are in the MAdds; LFFD and FaceBoxes are rivals whose figures our sources do not have.")
    title = "Table 4: face detectors at 640x480, standard convention"
    return CostTable("4", title, ("peak, MiB", "params, M", "MAdds, G"), tuple(rows), notes)


def table_5() -> CostTable:
    """Head detection on a Cortex-M4.

    Our sources give its figures without a number; of the tables of costs it is the only one with MobileNetV2-SSDLite.
    """
    graph, plan = graph_of("face-m4"), rows_of("face-m4")
    ours = (
        Figure(plan.peak, M4_PEAK, KIB, 1),
        Figure(graph.madds.paper, M4_MADDS, MILLION, 0),
        Figure(graph.parameters, M4_SIZE, KIB, 0),
    )
    rival = (
        Figure(None, SSDLITE_PEAK, KIB, 1),
        Figure(None, SSDLITE_MADDS, MILLION, 0),
        Figure(None, SSDLITE_SIZE, KIB, 0),
    )
    note = (
        "our peak is the plan by rows (int8 maps and states), theirs was measured layer by layer; our size is one byte"
        " a parameter, without the sparse layout's indices or code"
    )
    rows = Row("RNNPool-Face-M4", ours, note), Row("MobileNetV2-SSDLite", rival, quoted=True)
    title = "Table 5: SCUT-HEAD on a Cortex-M4, 320x240 monochrome, int8"
    return CostTable("5", title, ("peak, KiB", "MAdds, M", "model, KiB"), rows, (COUNT,))


def table_8() -> CostTable:
    """Without recomputation."""
    rows = []
    for family, peaks in WITHOUT_RECOMPUTATION_MIB.items():
        for ending, peak in zip(("", "-rnnpool"), peaks, strict=True):
            name = family + ending
            plan = rows_of(name, "float32")
            figures = (
                Figure(best_partition(graph_of(name)).peak, peak * MIB, MIB),
                Figure(plan.peak, None, MIB),
                Figure(lower_bound(plan).bytes, None, MIB),
            )
            rows.append(Row(name, figures, E1_NOTES[name] if figures[0].difference else ""))
    notes = (
        "By rows: a plan that a program can follow (rings, rows in flight, recurrent states, whole maps at the cuts),",
        "and a proved lower bound. Squeeze-and-excitation forces whole maps there.",
        "E.1: the partition into runs of blocks for which the paper's formula is least.",
    )
    title = "Table 8: least memory without recomputation, float32"
    return CostTable("8", title, ("E.1, MiB", "by rows, MiB", "bound, MiB"), tuple(rows), notes)


def table_16() -> CostTable:
    """Ablation of RNNPool's sizes."""
    names = ("", "-patch8", "-patch4", "-h8", "-h32", "-stride8", "-twice")
    rows = []
    for ending in names:
        name = "mobilenet_v2-rnnpool" + ending
        plain = graph_of(name)
        figures = (
            Figure(plain.parameters, None, MILLION, 2),
            Figure(plain.madds.paper, None, MILLION, 1),
            Figure(plain.madds.shared, None, MILLION, 1),
            Figure(standard_of(name).peak, None, MIB, 3),
            Figure(rows_of(name).peak, None, KIB, 1),
        )
        rows.append(Row(name, figures))
    columns = ("params, M", "MAdds, M", "shared, M", "standard, MiB", "rows int8, KiB")
    title = "Table 16: sizes of RNNPool in MobileNetV2-RNNPool"
    return CostTable("16", title, columns, tuple(rows), (COUNT, f"Ours alone: {NOT_HERE}."))


def table_18() -> CostTable:
    """Cells."""
    rows = []
    for name, printed in (
        ("mobilenet_v2-rnnpool", 226.0),
        ("mobilenet_v2-rnnpool-gru", 246.0),
        ("mobilenet_v2-rnnpool-lstm", 266.0),
    ):
        graph = graph_of(name)
        figure = Figure(graph.madds.paper, printed * MILLION, MILLION, 0)
        rows.append(Row(name, (figure, Figure(graph.madds.shared, None, MILLION, 1)), _note(name, [figure])))
    title = "Table 18: the recurrent cell in MobileNetV2-RNNPool"
    return CostTable("18", title, ("MAdds, M", "shared, M"), tuple(rows), (COUNT,))
