"""The rounding network in real numbers against the simulator, byte by byte, and what its gradients are."""

import numpy as np
import pytest
import torch
from small_nets import NETS, build, images_of
from torch import Tensor, nn

from rnnpool.errors import InputError
from rnnpool.graph import lower
from rnnpool.integer.calibrated import Calibrated
from rnnpool.integer.convert import Conversion, convert, convert_calibrated
from rnnpool.integer.fuse import fuse
from rnnpool.integer.imitation import imitate, round_to
from rnnpool.integer.module import from_bytes
from rnnpool.integer.report import decibels
from rnnpool.integer.storage import network_bytes
from rnnpool.integer.tensors import ChannelScales, Quantisation

# Share of a layer's bytes. Integers have constants of 14 bits in sums, and lengths with 4 bits behind the point.
MOST_DIFFERING = {"l2_norm": 0.03}


def converted(name: str, *, narrow: bool = False, nibbles: int = 0) -> tuple[nn.Module, Conversion]:
    module, shape = build(name)
    return module, convert(module, shape, images_of(shape), narrow=narrow, nibbles=nibbles)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_every_layer_gives_the_simulators_numbers(name: str, narrow: bool) -> None:
    _, conversion = converted(name, narrow=narrow)
    real, network = conversion.real, conversion.network
    image = images_of(NETS[name][1], seed=3)[0]
    stored: list[np.ndarray] = []
    network.run(image, lambda _, value: stored.append(value))
    wanted = dict(zip(real.layers, zip(network.nodes, stored, strict=True), strict=True))

    def compute(layer, values):
        node, bytes_ = wanted[layer]
        exact = torch.from_numpy(node.output.dequantise(bytes_)).float()[None]
        if node.op is not None:
            inputs = [wanted[source][0].output for source in layer.inputs]
            value = round_to(node.output, layer.imitate(node.op, inputs, node.output, *values))
            units = (value - exact).abs() / torch.as_tensor(node.output.scale).reshape(-1, 1, 1)
            assert units.max() < 1.1, layer.name
            assert (units > 0.5).float().mean() <= MOST_DIFFERING.get(layer.kind, 0.002), layer.name
        return exact  # errors are not to add up

    with torch.no_grad():
        real.walk(compute)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_outputs_are_nearer_to_the_integers_than_those_are_to_the_real_network(name: str, narrow: bool) -> None:
    _, conversion = converted(name, narrow=narrow)
    images = images_of(NETS[name][1], seed=4)
    found = imitate(conversion.real, conversion.network, from_bytes(images))
    signal = error = 0.0
    for number, image in enumerate(images):
        exact = conversion.network.real_outputs(conversion.network.run(image))
        for a, b in zip(exact, found, strict=True):
            assert a.shape == b.shape[1:]
            signal, error = signal + (a**2).sum(), error + ((a - b[number].detach().numpy()) ** 2).sum()
    assert decibels(signal, error) > conversion.sqnr[conversion.method] + 8


def test_four_bits_are_imitated() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU(), nn.Conv2d(64, 32, 1), nn.ReLU(), nn.Conv2d(32, 2, 1))
    images = images_of((3, 8, 8))
    conversion = convert(module, (3, 8, 8), images, nibbles=64)
    (nibbled,) = [node for node in conversion.network.nodes if node.op is not None and node.op.nibbles]
    assert nibbled.name == "2"
    (found,) = imitate(conversion.real, conversion.network, from_bytes(images[:1]))
    (exact,) = conversion.network.real_outputs(conversion.network.run(images[0]))
    np.testing.assert_allclose(found[0].detach(), exact, atol=0.02 * np.abs(exact).max())


def gradients(module: nn.Module, outputs: list[Tensor]) -> dict[str, Tensor]:
    module.zero_grad()
    generator = torch.Generator().manual_seed(1)
    sum((output * torch.randn(output.shape, generator=generator)).sum() for output in outputs).backward()
    return {name: parameter.grad.clone() for name, parameter in module.named_parameters() if parameter.grad is not None}


def test_a_convolutions_gradient_is_the_real_one() -> None:
    """Of a layer whose inputs are exact and whose outputs lie within the stored range: rounding changes nothing."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4)).eval()
    images = images_of((2, 12, 12))
    conversion = convert(module, (2, 12, 12), images, method="minmax")
    real = fuse(lower(module, (2, 12, 12)))  # a conversion's own is made without gradients
    rounded = gradients(module, imitate(real, conversion.network, from_bytes(images)))
    exact = gradients(module, [module(from_bytes(images))])
    assert rounded.keys() == exact.keys() == {"0.weight", "1.weight", "1.bias"}
    for name, value in exact.items():
        torch.testing.assert_close(rounded[name], value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_gradients_of_all_parameters_point_as_the_real_ones_do(name: str) -> None:
    module, shape = build(name)
    conversion = convert(module, shape, images_of(shape), method="minmax")  # nothing is cut
    images = from_bytes(images_of(shape))
    real = fuse(lower(module, shape))
    rounded = gradients(module, imitate(real, conversion.network, images))
    outputs = module(images)
    exact = gradients(module, outputs if isinstance(outputs, list) else [outputs])
    assert rounded.keys() == exact.keys()
    a, b = (torch.cat([grads[key].flatten() for key in exact]) for grads in (rounded, exact))
    assert torch.cosine_similarity(a, b, dim=0) > 0.95


def test_gradients_end_where_a_range_does() -> None:
    value = torch.tensor([[[[-0.9, -0.1, 0.6, 1.2, 2.6]]]], requires_grad=True)  # stored: 0 to 2 in steps of 1/127.5
    rounded = round_to(Quantisation(2 / 255, 0), value)
    rounded.sum().backward()
    assert value.grad is not None
    assert value.grad.flatten().tolist() == [0, 0, 1, 1, 0]
    torch.testing.assert_close(rounded.flatten(), torch.tensor([0, 0, 0.6, 1.2, 2.0]), rtol=0, atol=1 / 255 + 1e-6)
    wide = round_to(ChannelScales(np.array([0.5])), torch.tensor([[[[0.25, -0.25, 20000.0]]]]))
    assert wide.flatten().tolist() == [0.5, 0.0, 16383.5]  # halves upwards


@pytest.mark.parametrize("method", [None, "mse"])
@pytest.mark.parametrize("name", NETS)
def test_ranges_that_were_kept_give_the_very_same_integers(name: str, method: str | None) -> None:
    module, shape = build(name)
    first = convert(module, shape, images_of(shape), method=method, narrow=True)
    kept = Calibrated.from_json(first.calibrated.to_json())
    again = convert_calibrated(module, shape, images_of(shape), kept)
    assert network_bytes(again.network) == network_bytes(first.network)
    assert again.sqnr == {first.method: first.sqnr[first.method]}


def test_ranges_of_another_network_are_refused() -> None:
    _, conversion = converted("classifier")
    module, shape = build("anchors")
    with pytest.raises(InputError, match="was calibrated without layer"):
        convert_calibrated(module, shape, images_of(shape), conversion.calibrated)
    with pytest.raises(InputError, match="ranges of an integer network are expected"):
        Calibrated.from_json('{"method": "mse"}')
    module, shape = build("classifier")
    with pytest.raises(InputError, match="at least one image"):
        convert_calibrated(module, shape, [], conversion.calibrated)
