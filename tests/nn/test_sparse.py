"""Hard thresholding: what is kept in each phase, its recovery of a known support, resume, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rnnpool.errors import InputError
from rnnpool.nn import RNNPool2d
from rnnpool.nn.sparse import FACE_M4_DENSITY, HardThresholding, density, largest


def two_layers(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 5), nn.Linear(5, 4))


def shake(module: nn.Module) -> None:
    """Stands for an optimiser step that moves every entry."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_largest_keeps_the_largest(rows: int, columns: int, data: st.DataObject) -> None:
    """Against a sort in NumPy; ties (small integers) may fall either way, the count may not."""
    count = data.draw(st.integers(1, rows * columns))
    values = data.draw(st.lists(st.integers(-3, 3), min_size=rows * columns, max_size=rows * columns))
    matrix = torch.tensor(values, dtype=torch.float32).view(rows, columns)
    mask = largest(matrix, count)
    kept = np.sort(np.abs(matrix[mask].numpy()))
    np.testing.assert_array_equal(kept, np.sort(np.abs(np.array(values)))[-count:])
    assert mask.shape == matrix.shape
    assert mask.sum() == count


def test_three_phases() -> None:
    net = two_layers()
    sparse = HardThresholding(net, {"0.weight": 0.5, "1.*": 0.3}, start=0.25, freeze=0.75, every=3)
    dense, free, projected = 1.0, [], []
    supports = []
    for step in range(20):
        shake(net)
        before = net[0].weight.detach().clone()
        sparse.step(step / 20)
        after = density(net)
        if step < 5:
            assert sparse.phase == "dense"
            assert torch.equal(net[0].weight, before)
            assert after == {"0.weight": dense, "1.weight": dense}
        elif step < 15:
            assert sparse.phase == "threshold"
            (projected if (step - 5) % 3 == 0 else free).append(after)
        else:
            assert sparse.phase == "fixed"
            assert after == {"0.weight": 20 / 40, "1.weight": 6 / 20}
            supports.append(net[0].weight != 0)
            assert torch.equal(net[0].weight, before * supports[-1])
    assert projected == [{"0.weight": 20 / 40, "1.weight": 6 / 20}] * 4
    assert free == [{"0.weight": 1.0, "1.weight": 1.0}] * 6
    assert all(torch.equal(support, supports[0]) for support in supports)
    assert (net[0].bias != 0).all()
    assert (net[1].bias != 0).all(), "the pattern 1.* fits the bias too, but only matrices are made sparse"


def test_recovers_a_sparse_matrix() -> None:
    """Least squares whose exact solution has 12 of 60 entries: the support is found, and the values to 1e-4."""
    torch.manual_seed(3)
    truth = torch.zeros(6, 10)
    truth.view(-1)[torch.randperm(60)[:12]] = torch.randn(12).sign() * (1 + torch.rand(12))
    x = torch.randn(200, 10)
    y = x @ truth.T
    net = nn.Linear(10, 6, bias=False)
    sparse = HardThresholding(net, {"weight": 0.2}, every=5)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.5)
    for step in range(300):
        optimiser.zero_grad()
        (net(x) - y).square().mean().backward()
        optimiser.step()
        sparse.step(step / 300)
    torch.testing.assert_close(net.weight.detach(), truth, atol=1e-4, rtol=0)
    assert torch.equal(net.weight != 0, truth != 0)


@pytest.mark.parametrize("cut", [3, 8, 17])
def test_resume_is_exact(cut: int) -> None:
    """Stopped in each of the phases and resumed from both state dicts, a run ends with the same weights."""

    def run(first: int, last: int, net: nn.Module, sparse: HardThresholding) -> None:
        for step in range(first, last):
            torch.manual_seed(step)
            shake(net)
            sparse.step(step / 20)

    options = {"start": 0.25, "freeze": 0.75, "every": 4}
    whole = two_layers()
    run(0, 20, whole, HardThresholding(whole, {"*weight": 0.4}, **options))

    halted = two_layers()
    before = HardThresholding(halted, {"*weight": 0.4}, **options)
    run(0, cut, halted, before)
    resumed = two_layers(seed=9)
    after = HardThresholding(resumed, {"*weight": 0.4}, **options)
    resumed.load_state_dict(halted.state_dict())
    after.load_state_dict(before.state_dict())
    run(cut, 20, resumed, after)
    for ours, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_masks_clean_an_average() -> None:
    net, average = two_layers(), two_layers(seed=1)
    sparse = HardThresholding(net, {"0.weight": 0.5})
    sparse.step(0.9)
    values = average[0].weight.detach().clone()
    sparse.apply_masks(average)
    assert torch.equal(average[0].weight, torch.where(net[0].weight != 0, values, 0.0))
    assert density(average, "1.*") == {"1.weight": 1.0}


def test_the_first_pattern_counts_and_one_entry_stays() -> None:
    net = two_layers()
    HardThresholding(net, {"0.*": 0.001, "*weight": 0.5}, start=0, freeze=0).step(0.0)
    assert density(net) == {"0.weight": 1 / 40, "1.weight": 0.5}


@pytest.mark.parametrize(
    ("densities", "options", "words"),
    [
        ({"2.weight": 0.5}, {}, r"no matrix fits the pattern '2.weight'; there are 0.weight, 1.weight"),
        ({"0.bias": 0.5}, {}, "no matrix fits the pattern '0.bias'"),
        ({"0.weight": 0.0}, {}, r"density of '0.weight' is 0.0; it must be in \(0, 1\]"),
        ({"0.weight": 1.5}, {}, "is 1.5"),
        ({"0.weight": 0.5}, {"start": 0.7, "freeze": 0.6}, "start 0.7 and freeze 0.6"),
        ({"0.weight": 0.5}, {"every": 0}, "every is 0; it must be at least 1"),
    ],
)
def test_refused(densities: dict, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        HardThresholding(two_layers(), densities, **options)


def test_refused_later() -> None:
    net = two_layers()
    sparse = HardThresholding(net, {"0.weight": 0.5})
    with pytest.raises(InputError, match="no support is fixed in phase 'dense'"):
        sparse.apply_masks()
    sparse.step(1.0)
    with pytest.raises(InputError, match=r"no parameter '0\.weight'"):
        sparse.apply_masks(nn.Linear(8, 5))
    other = HardThresholding(two_layers(), {"1.weight": 0.5})
    with pytest.raises(InputError, match=r"masks \{'0.weight': \(5, 8\)\}; they must be \{'1.weight': \(4, 5\)\}"):
        other.load_state_dict(sparse.state_dict())


def test_face_m4_densities_fit_the_layer_and_a_network() -> None:
    """50% of W1 (16 x 4), 30% of U1, W2 and U2 (16 x 16), whether the layer stands alone or inside."""
    torch.manual_seed(0)
    layer = RNNPool2d(4, 16, 16, 8, 4)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, 2), layer)
    HardThresholding(net, FACE_M4_DENSITY, start=0, freeze=0).step(0.0)
    HardThresholding(layer, FACE_M4_DENSITY)
    square = 77 / 256  # round(0.3 * 256)
    assert density(layer) == {
        "rnn1.weight_input": 0.5,
        "rnn1.weight_hidden": square,
        "rnn2.weight_input": square,
        "rnn2.weight_hidden": square,
    }
    assert density(net, "0.*") == {"0.weight": 1.0}
