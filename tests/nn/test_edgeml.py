"""EdgeML's state_dict: a stand-in module whose registration gives EdgeML's names, and what cannot map."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from rnnpool_twin import Cell, Pool
from torch import Tensor, nn

from rnnpool.errors import InputError
from rnnpool.nn import RNNPool2d, load_edgeml_state_dict

C, H1, H2, KERNEL = 3, 5, 4, (3, 2)


class Reference(nn.Module):
    """Has EdgeML's names and nothing else: one cell registered in every module that would use it."""

    def __init__(self, rank: int | None = None, inputs_first: bool = False, sizes: tuple[int, int, int] = (C, H1, H2)):
        super().__init__()
        channels, hidden1, hidden2 = sizes
        self.cell_rnn = self.unrolled(channels, hidden1, rank, inputs_first, reverse=False)
        self.cell_bidirrnn = self.unrolled(hidden1, hidden2, rank, inputs_first, reverse=True)

    @staticmethod
    def unrolled(inputs: int, hidden: int, rank: int | None, inputs_first: bool, reverse: bool) -> nn.Module:
        def matrix(rows: int, columns: int) -> nn.Parameter:
            return nn.Parameter(torch.randn((columns, rows) if inputs_first else (rows, columns)))

        cell = nn.Module()
        for name, size in (("W", inputs), ("U", hidden)):
            if rank is None:
                cell.register_parameter(name, matrix(hidden, size))
            else:
                cell.register_parameter(f"{name}1", matrix(rank, size))
                cell.register_parameter(f"{name}2", matrix(hidden, rank))
        cell.bias_gate, cell.bias_update = (nn.Parameter(torch.randn(1, hidden)) for _ in range(2))
        cell.zeta, cell.nu = nn.Parameter(torch.full((1, 1), 2.0)), nn.Parameter(torch.full((1, 1), -1.0))
        rnn, unroll = nn.Module(), nn.Module()
        rnn.cell, rnn.unrollRNN = cell, unroll
        unroll.RNNCell = cell
        if reverse:
            unroll.RNNCell_reverse = cell
        return rnn

    def twin(self, inputs_first: bool) -> Pool:
        """The definition in NumPy with these weights, factors multiplied as EdgeML's forward does, from the right."""
        cells = []
        for rnn in (self.cell_rnn, self.cell_bidirrnn):
            named = {name: p.detach().double().numpy() for name, p in rnn.cell.named_parameters()}
            if not inputs_first:
                named |= {name: value.T for name, value in named.items() if name[0] in "WU"}
            w = named["W"] if "W" in named else named["W1"] @ named["W2"]
            u = named["U"] if "U" in named else named["U1"] @ named["U2"]
            arrays = {"weight_input": w.T, "weight_hidden": u.T, "bias_gate": named["bias_gate"][0]}
            arrays |= {"bias_candidate": named["bias_update"][0]}
            arrays |= {"raw_zeta": named["zeta"][0, 0], "raw_nu": named["nu"][0, 0]}
            cells.append(Cell("fastgrnn", "smooth", arrays))
        return Pool(*cells, KERNEL, (1, 1))


def network_state(reference: Reference, holder: str = "module.rnn_model") -> dict[str, Tensor]:
    """The state of a network that has the pool and other layers, as EdgeML's face models are saved."""
    network = nn.Module()
    inner = network
    for name in holder.split(".")[:-1]:
        inner.add_module(name, nn.Module())
        inner = inner.get_submodule(name)
    inner.add_module("conv", nn.Conv2d(1, C, 3))
    inner.add_module(holder.split(".")[-1], reference)
    return dict(network.state_dict())


def layer_of(**options: object) -> RNNPool2d:
    return RNNPool2d(C, H1, H2, KERNEL, 1, **{"trainable_mix": True, **options})


@pytest.mark.parametrize("inputs_first", [False, True])
@pytest.mark.parametrize("rank", [None, 2, 4])
def test_same_outputs(rank: int | None, inputs_first: bool) -> None:
    torch.manual_seed(0)
    reference = Reference(rank, inputs_first).double()
    state = network_state(reference)
    assert len(state) == 2 + (2 + 3) * (6 if rank is None else 8), (
        "every tensor of the pool is there two or three times"
    )
    layer = layer_of().double()
    load_edgeml_state_dict(layer, state)
    images = torch.randn(2, C, 5, 4, dtype=torch.float64)
    np.testing.assert_allclose(layer(images).detach(), reference.twin(inputs_first)(images.numpy()), rtol=0, atol=1e-12)


def test_a_mix_of_one_and_zero_fits_a_plain_layer() -> None:
    """EdgeML starts at zeta 100 and nu -100; where training moved them, a layer without the mix would be wrong."""
    reference = Reference()
    for rnn in (reference.cell_rnn, reference.cell_bidirrnn):
        nn.init.constant_(rnn.cell.zeta, 100.0)
        nn.init.constant_(rnn.cell.nu, -100.0)
    layer = layer_of(trainable_mix=False)
    load_edgeml_state_dict(layer, reference.state_dict())
    images = torch.randn(1, C, 5, 4)
    np.testing.assert_allclose(layer(images).detach(), reference.twin(False)(images.numpy()), rtol=0, atol=2e-6)
    nn.init.constant_(reference.cell_bidirrnn.cell.nu, -13.0)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    with pytest.raises(InputError, match=r"cell_bidirrnn has zeta 1 and nu 2\.26e-06; .* trainable_mix=True"):
        load_edgeml_state_dict(
            layer,
            {name: 2 * value for name, value in reference.state_dict().items()}
            | {name: value for name, value in reference.state_dict().items() if name.endswith(("zeta", "nu"))},
        )
    assert all(torch.equal(layer.state_dict()[name], value) for name, value in before.items())


def test_several_pools() -> None:
    torch.manual_seed(0)
    first, second = Reference(), Reference()
    state = network_state(first, "rnn_model") | network_state(second, "rnn_model_end")
    layer = layer_of()
    with pytest.raises(InputError, match=r"holds 2 RNNPools; prefix must be one of \['rnn_model.', 'rnn_model_end.'\]"):
        load_edgeml_state_dict(layer, state)
    load_edgeml_state_dict(layer, state, "rnn_model_end.")
    assert torch.equal(layer.rnn1.weight_input, second.cell_rnn.cell.W)


def test_square_matrices_need_a_word() -> None:
    """The Visual Wake Words model has 8 channels and states of 8: shapes fit either layout."""
    reference = Reference(sizes=(8, 8, 8))
    layer = RNNPool2d(8, 8, 8, 6, 4, trainable_mix=True)
    with pytest.raises(InputError, match="inputs_first must be True"):
        load_edgeml_state_dict(layer, reference.state_dict())
    for inputs_first in (False, True):
        load_edgeml_state_dict(layer, reference.state_dict(), inputs_first=inputs_first)
        u = reference.cell_bidirrnn.cell.U
        assert torch.equal(layer.rnn2.weight_hidden, u.T if inputs_first else u)


def drop(*names: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda state: {name: value for name, value in state.items() if not name.endswith(names)}


def put(name: str, value: Tensor) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda state: {**state, name: value}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: {}, "no name holds 'cell_rnn.'; the state has no entries"),
        (lambda state: {"epoch": torch.tensor(3)}, "no name holds 'cell_rnn.'; the state has epoch"),
        (drop("nu"), "cell_rnn.cell lacks nu; it has"),
        (drop("U"), "cell_rnn.cell must have either U, or U1 and U2"),
        (put("cell_rnn.cell.W1", torch.zeros(2, C)), "must have either W, or W1 and W2"),
        (put("cell_rnn.cell.alpha", torch.zeros(1, 1)), "cell_rnn.cell.alpha belongs to no FastGRNN cell"),
        (
            put("cell_rnn.unrollRNN.RNNCell.W", torch.zeros(H1, C)),
            r"cell\.W and cell_rnn\.unrollRNN\.RNNCell\.W differ",
        ),
        (put("cell_bidirrnn.cell_reverse.U", torch.zeros(H2, H2)), "has one set of weights for both directions"),
    ],
)
def test_refused(change: Callable[[dict[str, Tensor]], dict[str, Tensor]], words: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(InputError, match=words):
        load_edgeml_state_dict(layer_of(), change(Reference().state_dict()))


def test_other_sizes_are_refused() -> None:
    with pytest.raises(InputError, match=r"cell_rnn\.cell\.W has shape \(7, 3\); the layer needs \(5, 3\)"):
        load_edgeml_state_dict(layer_of(), Reference(sizes=(C, 7, H2)).state_dict())
    with pytest.raises(InputError, match=r"cell_bidirrnn\.cell\.W has shape \(6, 5\); the layer needs \(4, 5\)"):
        load_edgeml_state_dict(layer_of(), Reference(sizes=(C, H1, 6)).state_dict())


def test_other_cells_are_refused() -> None:
    with pytest.raises(InputError, match="the layer's cell is 'gru'"):
        load_edgeml_state_dict(RNNPool2d(C, H1, H2, KERNEL, cell="gru"), Reference().state_dict())
