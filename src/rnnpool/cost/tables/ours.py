"""The tables that an engineer decides by, beside the paper's: everyone streams; and what recomputing costs."""

from rnnpool.cost.bound import lower_bound
from rnnpool.cost.recompute import fit_by_recomputing
from rnnpool.cost.stream import StreamPlan
from rnnpool.cost.tables.networks import graph_of, rows_of, standard_of
from rnnpool.cost.tables.published import KIB, MIB, STANDARD_MIB
from rnnpool.cost.tables.table import CostTable, Figure, Row

FAMILIES = (
    "mobilenet_v2_035",
    "mobilenet_v1_025",
    "mobilenet_v2",
    "mobilenet_v1",
    "efficientnet_b0",
    "resnet18",
    "googlenet",
    "densenet121",
)
VARIANTS = ("", "-avg", "-max", "-strided", "-renet", "-rnnpool")


def streaming() -> CostTable:
    """Base, pooling baselines and RNNPool, each with its own best plan by rows."""
    rows = []
    for family in FAMILIES:
        base = rows_of(family).peak
        for variant in VARIANTS:
            name = family + variant
            graph, plan = graph_of(name), rows_of(name)
            figures = (
                Figure(graph.madds.shared, None, 1e6, 1),
                Figure(standard_of(name, "int8").peak, None, KIB, 1),
                Figure(plan.peak, None, KIB, 1),
                Figure(rows_of(name, tile=8).peak, None, KIB, 1),
                Figure(plan.peak / base, None, 1, 2),
                Figure(lower_bound(plan).bytes, None, KIB, 1),
            )
            rows.append(Row(name, figures, _forced(plan)))
    columns = ("MAdds, M", "standard, KiB", "rows, KiB", "by 8 px, KiB", "rows / base's", "bound, KiB")
    notes = (
        "The bound is proved for any order of whole rows without recomputation (rnnpool.cost.bound).",
        "MAdds are what rnnpool executes (shared). By rows a base network keeps a few rows of its large early maps,",
        "and RNNPool its states; the ratio is what a change of network still saves when everyone streams.",
    )
    return CostTable(
        "rows", "Everyone streams: peak RAM by rows, int8, each with its best cuts", columns, tuple(rows), notes
    )


def _forced(plan: StreamPlan) -> str:
    maps = plan.forced_maps
    if not maps:
        return ""
    largest = max(maps, key=lambda step: step.node.size)
    shape = "x".join(map(str, largest.node.shape))
    return f"{len(maps)} map(s) forced whole by a global operator, the largest {shape} at {largest.name}"


def recomputation() -> CostTable:
    """Multiply-adds that a base network needs to fit where its RNNPool version does (appendix E.3)."""
    rows = []
    for family in STANDARD_MIB:
        ram = standard_of(f"{family}-rnnpool").peak
        found = fit_by_recomputing(graph_of(family), ram)
        pooled = graph_of(f"{family}-rnnpool").madds.paper
        figures = (
            Figure(ram, None, MIB, 2),
            Figure(graph_of(family).madds.paper, None, 1e6, 0),
            Figure(found.madds if found else None, None, 1e6, 0),
            Figure(pooled, None, 1e6, 0),
        )
        how = "no grid of patches fits"
        if found and found.value is not None:
            how = f"{found.grid} x {found.grid} patches up to {found.value.name}"
        rows.append(Row(family, figures, how))
    columns = ("RAM, MiB", "base, M", "base that fits, M", "with RNNPool, M")
    notes = ("Standard convention, float32. RAM is what the version with RNNPool needs.",)
    return CostTable("E.3", "Appendix E.3: MAdds to fit by recomputing patches", columns, tuple(rows), notes)
