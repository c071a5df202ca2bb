"""What footnotes say about the paper's figures, checked: the counts under which those figures come out."""

import pytest

from rnnpool.cost.partition import run_numbers
from rnnpool.cost.tables.networks import graph_of, standard_of
from rnnpool.cost.tables.paper import E1_NOTES
from rnnpool.cost.tables.published import WITHOUT_RECOMPUTATION_MIB
from rnnpool.graph import Graph, Node
from rnnpool.graph.ops import Conv
from rnnpool.models.classification.published import PUBLISHED, reason


def millions(nodes: list[Node]) -> float:
    return sum(node.madds.paper for node in nodes) / 1e6


def convolutions(graph: Graph) -> list[Node]:
    return [node for node in graph if isinstance(node.op, Conv)]


def behind_a_pooling(graph: Graph) -> list[Node]:
    """The 1x1 convolution that gives average and max pooling their channels."""
    return [node for node in convolutions(graph) if node.inputs[0].kind == "pool" and "downsample" in node.name]


@pytest.mark.parametrize("ending", ["avg", "max", "strided", "renet", "rnnpool"])
def test_mobilenet_v2_without_half_of_an_expansion(ending: str) -> None:
    name = f"mobilenet_v2-{ending}"
    graph = graph_of(name)
    wide = next(node for node in convolutions(graph) if node.shape == (384, 28, 28) and node.op.kernel == (1, 1))
    counted = graph.madds.paper / 1e6 - 0.75 * millions([wide]) - millions(behind_a_pooling(graph))
    assert round(counted) == PUBLISHED[name].madds
    assert "14 x 14" in reason(name)


@pytest.mark.parametrize("ending", ["avg", "max", "strided", "renet", "rnnpool"])
def test_densenet_without_its_3x3(ending: str) -> None:
    name = f"densenet121-{ending}"
    graph = graph_of(name)
    grown = [node for node in convolutions(graph) if node.op.kernel == (3, 3) and "denselayer" in node.name]
    assert round(millions(grown)) == 202
    counted = graph.madds.paper / 1e6 - millions(grown) - millions(behind_a_pooling(graph))
    assert round(counted, -1) == PUBLISHED[name].madds
    assert "202M" in reason(name)


def test_face_quant_without_its_stem() -> None:
    graph = graph_of("face-quant")
    stem = [node for node in convolutions(graph) if node.shape == (4, 240, 320)]
    assert len(stem) == 2
    assert round(graph.madds.paper / 1e9 - millions(stem) / 1e3, 2) == 0.12
    assert round(graph.madds.paper / 1e9, 2) == 0.14


def first_run(graph: Graph, last: str) -> float:
    """MiB of float32 by the formula of appendix E.1, for the layers from the image to one of them.

    Its whole output, and rows of the image and of every convolution's output. Squeeze-and-excitation is left out.
    """
    (end,) = [node for node in graph if node.name == last]
    sees = {end: (1, 1)}  # of each value's rows, how many a row of the output sees, and the step between
    for node in reversed(list(graph)):
        if node in sees and node.shape[1:] != (1, 1):
            kernel, stride = getattr(node.op, "kernel", (1, 1))[0], getattr(node.op, "stride", (1, 1))[0]
            rows, step = sees[node]
            for source in node.inputs:
                before = sees.get(source, (0, 0))
                sees[source] = max(before[0], (rows - 1) * stride + kernel), max(before[1], step * stride)
    numbers = end.shape[0] * end.shape[1] * end.shape[2]
    for node, (rows, step) in sees.items():
        kept = node is graph.image or (isinstance(node.op, Conv) and node.shape[1:] != (1, 1))
        if kept and node is not end:
            numbers += node.shape[0] * max(0, rows - step) * (step * end.shape[1] - 1)
    return numbers * 4 / 2**20


@pytest.mark.parametrize(
    ("name", "last", "words"),
    [
        ("mobilenet_v2", "features.3.add", "56 x 56"),
        ("efficientnet_b0", "features.2.1.add", "56 x 56"),
        ("resnet18", "features.maxpool", "first pooling"),
    ],
)
def test_table_8_by_the_first_run_alone(name: str, last: str, words: str) -> None:
    printed = WITHOUT_RECOMPUTATION_MIB[name][0]
    assert round(first_run(graph_of(name), last), 2) == printed
    assert words in E1_NOTES[name]


def test_table_8_of_googlenet_without_the_rows_of_inception_3b() -> None:
    """Whole maps before 3a and behind the pooling after 3b, and three rows of 3a's 256 channels between."""
    numbers = 192 * 28 * 28 + 480 * 14 * 14 + 256 * 3 * 27
    assert round(numbers * 4 / 2**20, 2) == WITHOUT_RECOMPUTATION_MIB["googlenet"][0]
    assert "3b" in E1_NOTES["googlenet"]


def runs(name: str) -> dict[tuple[str, str], float]:
    """First and last block of every run of blocks, and MiB by the formula."""
    graph, blocks = graph_of(name), standard_of(name).blocks
    return {
        (blocks[start].name, blocks[stop - 1].name): (run_numbers(graph, blocks[start:stop]) or 0) * 4 / 2**20
        for stop in range(1, len(blocks) + 1)
        for start in range(stop)
    }


def test_table_8_of_googlenet_with_rnnpool() -> None:
    found = runs("googlenet-rnnpool")
    printed = WITHOUT_RECOMPUTATION_MIB["googlenet"][1]
    assert round(found["features.inception4d.concat", "features.maxpool4"], 2) == printed
    assert found["features.inception4e.concat", "features.maxpool4"] < printed
    assert found["features.inception4d.concat", "features.inception4d.concat"] < printed
    assert "4d, 4e" in E1_NOTES["googlenet-rnnpool"]


def test_table_8_where_no_run_of_blocks_needs_what_is_printed() -> None:
    printed = WITHOUT_RECOMPUTATION_MIB["densenet121"][0]
    assert printed not in {round(needs, 2) for needs in runs("densenet121").values()}
    assert "no run of blocks" in E1_NOTES["densenet121"]
