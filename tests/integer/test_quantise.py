"""Integer networks against the real ones: how close, and what never happens."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_nets import NETS, build, converted, images_of, outputs_of
from torch import nn

from rnnpool.compile.pack import pack_depthwise
from rnnpool.errors import InputError
from rnnpool.graph import lower
from rnnpool.integer.calibrate import METHODS, observe
from rnnpool.integer.convert import convert
from rnnpool.integer.convolution import IntConv
from rnnpool.integer.fuse import fuse
from rnnpool.integer.images import batches
from rnnpool.integer.layers import RNNPooling
from rnnpool.integer.network import ChannelScales, IntNetwork, flash_bytes
from rnnpool.integer.quantise import quantise
from rnnpool.integer.report import decibels, layer_errors
from rnnpool.integer.rnnpool2d import IntRNNPool
from rnnpool.integer.tensors import Quantisation, per_channel_int4

# What was measured, less about 3 dB. 8-bit values of even spread have 50 dB; random layers in a row amplify errors.
SQNR = {"pyramid": 26, "piecewise": 15, "anchors": 17, "classifier": 37, "flattened": 35}


def sqnr(module: nn.Module, network: IntNetwork, images: list[np.ndarray]) -> float:
    signal = error = 0.0
    for image in images:
        found = network.real_outputs(network.run(image))
        for a, b in zip(outputs_of(module, image), found, strict=True):
            assert a.shape == b.shape
            signal, error = signal + (a**2).sum(), error + ((a - b) ** 2).sum()
    return decibels(signal, error)


@pytest.mark.parametrize("name", NETS)
def test_outputs_are_close(name: str) -> None:
    module, shape = build(name)
    network = converted(name).network
    assert sqnr(module, network, images_of(shape, seed=5)) > SQNR[name]


def test_narrow_states_cost_a_little() -> None:
    module, shape = build("pyramid")
    images = images_of(shape, seed=5)
    wide, narrow = (sqnr(module, converted("pyramid", narrow=narrow).network, images) for narrow in (False, True))
    assert wide > narrow > wide - 12
    assert [n.op.narrow for n in converted("pyramid", narrow=True).network.nodes if isinstance(n.op, IntRNNPool)] == [1]


def slow_convolution(op: IntConv, x: np.ndarray, low: int, high: int) -> np.ndarray:
    """The definition in plain Python integers, which never overflow."""
    outputs, per_output, kh, kw = op.weights.shape
    (sh, sw), (ph, pw) = op.stride, op.padding
    _, height, width = x.shape
    shape = (outputs, (height + 2 * ph - kh) // sh + 1, (width + 2 * pw - kw) // sw + 1)
    result = np.zeros(shape, np.int64)
    for o, i, j in np.ndindex(*shape):
        total = int(op.bias[o])
        for c, u, v in np.ndindex(per_output, kh, kw):
            row, column = i * sh + u - ph, j * sw + v - pw
            inside = 0 <= row < height and 0 <= column < width
            first = o if op.depthwise else o // (outputs // op.groups) * per_output
            byte = int(x[first + c, row, column]) if inside else op.zero_in
            total += int(op.weights[o, c, u, v]) * byte
        assert abs(total) < 2**23
        result[o, i, j] = min(max((total * int(op.multiplier[o]) + 2**31) >> 32, low), high)
    return result


def extremes(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Bytes at the ends of their range: what sums and saturation are tried on."""
    generator = np.random.default_rng(3)
    yield np.zeros(shape, np.uint8)
    yield np.full(shape, 255, np.uint8)
    yield generator.integers(0, 2, shape).astype(np.uint8) * 255


@pytest.mark.parametrize("name", ["classifier", "anchors", "flattened"])
def test_convolutions_are_exact_and_saturate(name: str) -> None:
    ends = set()
    for number, node in enumerate(network.nodes if (network := converted(name).network) else ()):
        if not isinstance(node.op, IntConv):
            continue
        channels, height, width = network.nodes[node.inputs[0]].shape
        wide = isinstance(node.output, ChannelScales)
        size = (height, width) if any(network.vectors) and number in network.outputs else (5, 6)
        for x in extremes((channels, *size)):
            wanted = slow_convolution(node.op, x, *((-32768, 32767) if wide else (0, 255)))
            found = node.run(x)
            assert found.dtype == (np.int16 if wide else np.uint8)
            np.testing.assert_array_equal(found, wanted)
            ends |= {int(found.min()), int(found.max())} & {0, 255}
    assert ends == {0, 255}, "no result was saturated, so nothing was tested"


def test_clips_hold_whatever_the_image() -> None:
    conversion = converted("classifier")
    bounds = {layer.name: (layer.low, layer.high) for layer in conversion.real.layers}
    clipped = [name for name, (low, high) in bounds.items() if np.isfinite([low, high]).all()]
    assert len(clipped) >= 4
    for image in extremes((3, 32, 24)):
        seen: dict[str, np.ndarray] = {}
        conversion.network.run(image, lambda node, value, seen=seen: seen.update({node.name: value}))
        for node in conversion.network.nodes:
            if node.name in clipped:
                value, unit = node.output.dequantise(seen[node.name]), node.output.scale
                low, high = bounds[node.name]
                assert low - unit / 2 <= value.min()
                assert value.max() <= high + unit / 2


def test_relus_are_exact_at_zero() -> None:
    conversion = converted("pyramid")
    for layer, node in zip(conversion.real.layers, conversion.network.nodes, strict=True):
        if layer.low == 0 and isinstance(node.output, Quantisation):
            assert node.output.zero_point == 0


def test_ranges_are_widened_where_16_bits_would_overflow() -> None:
    """One input in a hundred thousand reaches far: the kernels' halfwords must hold even what it would give."""
    conv = nn.Conv2d(1, 2, 3)
    nn.init.constant_(conv.weight, 1.0)
    nn.init.zeros_(conv.bias)
    conv.weight.data[1] = 1e-4
    dark = [np.full((1, 6, 6), 128, np.uint8) for _ in range(4)]
    dark[0][0, 0, 0] = 129  # so that what is seen reaches 1/128, and what may come 9
    module = nn.Sequential(conv, nn.ReLU(), nn.Conv2d(2, 1, 1))
    conversion = convert(module, (1, 6, 6), dark, method="minmax")
    op = conversion.network.nodes[1].op
    assert isinstance(op, IntConv)
    op.check_limits()
    name, factor = conversion.network.metadata["widened"].split()
    assert name == "0"
    assert float(factor) > 1.2
    assert "widened" not in converted("classifier").network.metadata
    bright = np.full((1, 6, 6), 255, np.uint8)
    seen = []
    conversion.network.run(bright, lambda _, value: seen.append(value))
    assert seen[1][0].min() == 255


def test_a_network_of_zeros() -> None:
    conv = nn.Conv2d(1, 2, 3, padding=1)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    module = nn.Sequential(conv, nn.ReLU(), nn.Conv2d(2, 1, 1))
    network = convert(module, (1, 4, 4), images_of((1, 4, 4)), method="minmax").network
    (out,) = network.real_outputs(network.run(images_of((1, 4, 4))[0]))
    np.testing.assert_allclose(out, module[2].bias.item(), atol=1e-3)


def test_the_method_of_least_error_is_kept() -> None:
    conversion = converted("pyramid", method=None)
    assert set(conversion.sqnr) == set(METHODS)
    assert conversion.sqnr[conversion.method] == max(conversion.sqnr.values())
    assert conversion.network.metadata["ranges"] == conversion.method


def test_held_out_images_are_not_calibrated_with() -> None:
    module, shape = build("classifier")
    images = images_of(shape, 8)
    conversion = convert(module, shape, images, method="minmax")
    assert [id(image) for image in conversion.held_out] == [id(images[3]), id(images[7])]
    other = convert(module, shape, [*images[:3], 255 - images[3], *images[4:]], method="minmax")
    assert [node.output for node in other.network.nodes[:-1]] == [node.output for node in conversion.network.nodes[:-1]]


def test_calibrating_twice_gives_the_same() -> None:
    first, second = (converted("pyramid").network for _ in range(2))
    image = images_of((1, 38, 50), seed=8)[0]
    for a, b in zip(first.run(image), second.run(image), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [node.output for node in first.nodes[:-2]] == [node.output for node in second.nodes[:-2]]


def test_pre_activations_are_those_of_the_patches() -> None:
    """RNNPool's tables end where the pre-activations of any patch do, computed patch by patch here."""
    module, shape = build("pyramid")
    network = fuse(lower(module, shape))
    images = images_of(shape, 2)
    observe(network, batches(images))
    pooling = next(layer for layer in network.layers if isinstance(layer, RNNPooling))
    pool, pres = module.pool, ([], [])

    def sweep(cell, which: int, sequence: list[torch.Tensor]) -> torch.Tensor:
        state = torch.zeros(cell.hidden_size)
        for x in sequence:
            pre = cell.weight_input @ x + cell.weight_hidden @ state
            pres[which].append(pre)
            z, c = torch.sigmoid(pre + cell.bias_gate), torch.tanh(pre + cell.bias_candidate)
            state = z * state + (1 - z) * c
        return state

    with torch.no_grad():
        x = module.stem((torch.from_numpy(np.stack(images)).float() - 128) / 128)
        x = torch.nn.functional.pad(x, (1, 1, 1, 1))
        for b, i, j in np.ndindex(2, (x.shape[2] - 4) // 2 + 1, (x.shape[3] - 4) // 2 + 1):
            patch = x[b, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
            for lines in (patch, patch.transpose(1, 2)):
                states = [sweep(pool.rnn1, 0, list(lines[:, k].T)) for k in range(4)]
                for order in (states, states[::-1]):
                    sweep(pool.rnn2, 1, order)
    for which in (0, 1):
        found = pooling.seen[which]
        assert found is not None
        every = torch.stack(pres[which]).double().numpy()
        np.testing.assert_allclose(found[0], every.min(axis=0), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found[1], every.max(axis=0), rtol=1e-4, atol=1e-4)


def test_the_report_finds_the_layer_that_loses() -> None:
    conversion = converted("classifier")
    spoiled = list(conversion.network.nodes)
    number = next(i for i, node in enumerate(spoiled) if node.name.endswith("body.1.0"))
    op = spoiled[number].op
    assert isinstance(op, IntConv)
    weights = op.weights.copy()
    weights[:4] = 0  # half of its channels are lost
    spoiled[number] = replace(spoiled[number], op=replace(op, weights=weights))
    network = replace(conversion.network, nodes=tuple(spoiled))
    before = layer_errors(conversion.real, conversion.network, conversion.held_out)
    after = layer_errors(conversion.real, network, conversion.held_out)
    changes = [a.own_sqnr - b.own_sqnr for a, b in zip(before, after, strict=True)]
    assert int(np.argmax(changes)) == number - 1
    assert [change for i, change in enumerate(changes) if i != number - 1] == [0] * (len(changes) - 1)
    assert after[-1].sqnr < before[-1].sqnr - 3
    assert [entry.node.name for entry in after[: number - 1] if entry.sqnr != before[after.index(entry)].sqnr] == []


def test_layers_that_cannot_be_are_named() -> None:
    wide = nn.Sequential(nn.Conv2d(1, 1200, 1), _Norm(), nn.Conv2d(1200, 1, 1))
    with pytest.raises(InputError, match=r"layer 1\S* \(l2_norm\): the squares of 1200 channels"):
        convert(wide, (1, 4, 4), images_of((1, 4, 4)), method="minmax")


class _Norm(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(x, dim=1)


@pytest.mark.parametrize(
    ("images", "method", "what"),
    [
        ([], "minmax", "at least one image"),
        (images_of((1, 38, 50)), "best", "method is 'best'; it may be minmax"),
    ],
)
def test_wrong_arguments_are_named(images: list[np.ndarray], method: str, what: str) -> None:
    module, shape = build("pyramid")
    with pytest.raises(InputError, match=what):
        convert(module, shape, images, method=method)


def test_values_that_are_not_finite_are_named() -> None:
    module, shape = build("classifier")
    module.features[1].body[0][0].weight.data[0, 0] = float("nan")
    network = fuse(lower(module, shape))
    with pytest.raises(InputError, match=r"layer features\.1\.body\.0\.0 gives values that are not finite"):
        quantise(network, observe(network, batches(images_of(shape))), METHODS["minmax"])


def thin_network() -> nn.Module:
    """1x1 convolutions of 16, 4 and 4 pixels."""
    torch.manual_seed(4)
    first = nn.Sequential(nn.Conv2d(1, 32, 3, 4, 1), nn.ReLU(), nn.Conv2d(32, 64, 1), nn.ReLU())
    second = nn.Sequential(nn.Conv2d(64, 64, 3, 2, 1, groups=64), nn.Conv2d(64, 48, 1), nn.ReLU(), nn.Conv2d(48, 64, 1))
    return nn.Sequential(first, second, nn.Conv2d(64, 8, 1))


def test_weights_of_4_bits() -> None:
    module, images = thin_network(), images_of((1, 16, 16), seed=5)
    full = convert(module, (1, 16, 16), images, method="minmax")
    thin = convert(module, (1, 16, 16), images, method="minmax", nibbles=4)
    bits = [n.op.nibbles for n in thin.network.nodes if isinstance(n.op, IntConv)]
    assert bits == [False, False, False, True, True, False]
    assert not any(n.op.nibbles for n in full.network.nodes if isinstance(n.op, IntConv))
    saved = flash_bytes(full.network)["weights"] - flash_bytes(thin.network)["weights"]
    assert saved == 64 * 48  # half of both layers
    assert thin.network.metadata["nibbles"] == "4"
    assert 12 < sqnr(module, thin.network, images) < sqnr(module, full.network, images)


def test_cutting_large_weights_helps_the_others() -> None:
    weights = np.random.default_rng(6).normal(size=(20, 64))
    stored, scales = per_channel_int4(weights)
    assert np.abs(stored).max() == 7
    plain = np.abs(weights).max(axis=1) / 7
    errors = [
        ((np.clip(np.rint(weights / s[:, None]), -7, 7) * s[:, None] - weights) ** 2).sum() for s in (scales, plain)
    ]
    assert ((stored * scales[:, None] - weights) ** 2).sum() == pytest.approx(errors[0])
    assert errors[0] < 0.9 * errors[1]
    assert (per_channel_int4(weights, 0.6)[1] >= 0.6).all()
    assert per_channel_int4(np.zeros((1, 4)))[1] == 1


def test_depthwise_multipliers_have_24_bits() -> None:
    """What rnp_depthwise.h has room for; others are refused when they are packed."""
    ops = [
        n.op for name in ("classifier", "pyramid") for n in converted(name).network.nodes if isinstance(n.op, IntConv)
    ]
    depthwise = [op for op in ops if op.depthwise]
    assert depthwise
    assert not any((op.multiplier % 256).any() for op in depthwise)
    odd = replace(depthwise[0], multiplier=depthwise[0].multiplier + 1)
    with pytest.raises(InputError, match="no multiple of 256"):
        pack_depthwise(odd)
