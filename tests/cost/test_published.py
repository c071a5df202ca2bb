"""What footnotes say about the paper's figures, checked: the counts under which those figures come out."""

import pytest

from rnnpool.cost.tables.networks import graph_of
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
