"""Recomputing patches, and the partition of appendix E.1."""

from itertools import pairwise

import torch
from torch import nn

from rnnpool.cost.partition import best_partition, run_numbers
from rnnpool.cost.recompute import _part, _patches, _spans, fit_by_recomputing
from rnnpool.cost.standard import standard_peak
from rnnpool.graph import lower
from rnnpool.models import create_model

CHAIN = nn.Sequential(
    nn.Conv2d(3, 4, 3, 2, 1),
    nn.ReLU(),
    nn.Conv2d(4, 6, (3, 5), 1, (1, 2)),
    nn.MaxPool2d(2),
    nn.Conv2d(6, 2, 3, padding=1),
)


def test_spans_are_what_gradients_reach() -> None:
    graph = lower(CHAIN, (3, 22, 26))
    value = graph.outputs[0]
    for grid, index in ((1, 0), (2, 0), (2, 1), (3, 1)):
        rows, columns = _part(value.shape[1], grid, index), _part(value.shape[2], grid, index)
        image = torch.randn(1, 3, 22, 26, requires_grad=True)
        CHAIN(image)[:, :, rows[0] : rows[1] + 1, columns[0] : columns[1] + 1].square().sum().backward()
        # A maximum hides three of four pixels, so what gradients reach lies within what the span names.
        _, _, y, x = image.grad.nonzero(as_tuple=True)
        by_rows = _spans(graph.nodes[1:], value, graph, rows, axis=0)[graph.image]
        by_columns = _spans(graph.nodes[1:], value, graph, columns, axis=1)[graph.image]
        assert by_rows[0] <= y.min() <= by_rows[0] + 2
        assert by_rows[1] - 2 <= y.max() <= by_rows[1]
        assert by_columns[0] <= x.min() <= by_columns[0] + 2
        assert by_columns[1] - 2 <= x.max() <= by_columns[1]


def test_one_patch_recomputes_nothing_and_more_do_ever_more() -> None:
    graph = lower(CHAIN, (3, 32, 32))
    blocks = standard_peak(graph).blocks
    counts, sizes = [], []
    for grid in (1, 2, 4):
        tried = _patches(graph, blocks, grid)
        assert tried is not None
        sizes.append(tried[0])
        counts.append(tried[1])
    assert counts[0] == graph.madds.paper
    assert counts == sorted(counts)
    assert len(set(counts)) == 3
    assert sizes == sorted(sizes, reverse=True)


def test_madds_of_two_patches_by_hand() -> None:
    """Two 3x3 layers, 2 x 2 patches of an 8 x 8 map: the first layer is computed on 5 of 8 rows for each patch."""
    graph = lower(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 3, 3, padding=1)), (1, 8, 8))
    tried = _patches(graph, standard_peak(graph).blocks, 2)
    assert tried == (2 * 25, 2 * 9 * 100 + 64 * 2 * 3 * 9)


def test_fitting_a_base_network() -> None:
    graph = lower(create_model("mobilenet_v2"), (3, 224, 224))
    standard = standard_peak(graph).peak
    unchanged = fit_by_recomputing(graph, standard)
    assert unchanged is not None
    assert (unchanged.value, unchanged.madds) == (None, graph.madds.paper)
    less = fit_by_recomputing(graph, standard // 4)
    assert less is not None
    assert less.peak <= standard // 4
    assert less.madds > graph.madds.paper
    assert fit_by_recomputing(graph, 1000) is None


def test_a_run_by_the_proposition() -> None:
    """Two 3x3 layers of stride 1 to an 8 x 10 output: 2 k c min(m - 1, n - 1) for the value between, k = 1."""
    graph = lower(nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.Conv2d(5, 3, 3, padding=1)), (1, 8, 10))
    blocks = standard_peak(graph).blocks
    assert run_numbers(graph, blocks) == 8 * 10 * 3 + 2 * 1 * 5 * 7
    # With stride 2 in the second: K = 3, s = 2, k' = 1, and the output is 4 x 5.
    graph = lower(nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.Conv2d(5, 3, 3, 2, 1)), (1, 8, 10))
    assert run_numbers(graph, standard_peak(graph).blocks) == 4 * 5 * 3 + 1 * 5 * (2 * 4 - 1)


def test_the_best_partition_is_the_least_of_all() -> None:
    graph = lower(CHAIN, (3, 32, 32))
    blocks = standard_peak(graph).blocks
    best = best_partition(graph)
    assert [block for run in best.runs for block in run] == list(blocks)
    peaks = []
    for mask in range(1 << (len(blocks) - 1)):
        edges = [0, *(i + 1 for i in range(len(blocks) - 1) if mask >> i & 1), len(blocks)]
        runs = [run_numbers(graph, blocks[a:b]) for a, b in pairwise(edges)]
        peaks.append(max(run for run in runs if run is not None))
    assert best.peak == 4 * min(peaks)


def test_table_8_where_our_reading_gives_the_papers_figure() -> None:
    for name, mib in (("mobilenet_v2-rnnpool", 0.24), ("resnet18-rnnpool", 0.38), ("densenet121-rnnpool", 0.77)):
        assert round(best_partition(create_model(name), (3, 224, 224)).peak / 2**20, 2) == mib
