"""The published detectors: parameter counts by another formula, shapes, predictors, options."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.errors import InputError
from rnnpool.models import create_model, model_info
from rnnpool.models.s3fd_predictor import L2Norm, S3FDPredictor

# Of the reference code (rnnpool.md, section 5).
REFERENCE_PARAMETERS = {
    "face-c": 1_526_098,
    "face-quant": 71_154,
    "face-m4": 56_330,
    "face-qvga-mono": 338_538,
}
NAMES = ("face-a", "face-b", *REFERENCE_PARAMETERS)
VGA = ("face-a", "face-b", "face-c", "face-quant")


def parameters(name: str, **options) -> int:
    return sum(parameter.numel() for parameter in create_model(name, **options).parameters())


@pytest.mark.parametrize(("name", "count"), REFERENCE_PARAMETERS.items())
def test_parameters_are_those_of_the_reference(name, count):
    assert parameters(name) == count


def test_parameters_of_a_and_b_by_hand():
    """Convolution with batch norm: k k c_in c_out + 2 c_out; the paper prints 0.06M and 1.12M."""

    def conv(c_in: int, c_out: int, k: int) -> int:
        return k * k * c_in * c_out + 2 * c_out

    def separable(c_in: int, c_out: int) -> int:
        return conv(1, c_in, 3) + conv(c_in, c_out, 1)

    def pool(h: int) -> int:  # W and U of both cells, four biases, zeta and nu twice
        return 3 * h + h * h + 2 * h * h + 4 * h + 4

    def inverted(c_in: int, t: int, c_out: int) -> int:
        return (conv(c_in, t * c_in, 1) if t > 1 else 0) + separable(t * c_in, c_out)

    def heads(widths: list[int]) -> int:  # 4 offsets, 2 scores (4 at the first), biased, and three L2 scales
        return sum(widths[:3]) + sum(9 * c * 6 + 6 for c in widths) + 2 * (9 * widths[0] + 1)

    a = pool(4) + 5 * separable(16, 16) + 3 * separable(16, 16) + separable(16, 24) + 2 * separable(24, 24)
    a += separable(24, 32) + separable(32, 32) + separable(32, 128) + separable(128, 160)
    assert parameters("face-a") == a + heads([16, 16, 24, 32, 128, 160]) == 56_310

    b = pool(6) + 4 * conv(24, 24, 3) + conv(24, 96, 3) + conv(96, 32, 1) + 3 * inverted(32, 6, 32)
    b += inverted(32, 6, 64) + 2 * inverted(64, 6, 64) + inverted(64, 6, 128) + inverted(128, 6, 128)
    b += inverted(128, 6, 160) + inverted(160, 6, 320)
    assert parameters("face-b") == b + heads([24, 32, 64, 128, 160, 320]) == 1_250_424


@pytest.mark.parametrize("name", NAMES)
def test_maps_at_the_published_size(name):
    """One map a level, of the size that its stride says, with 3 + 1 scores at the first level and 1 + 1 elsewhere."""
    channels, height, width = model_info(name).input_size
    model = create_model(name).eval()
    with torch.no_grad():
        outputs = model(torch.zeros(1, channels, height, width))
    strides = model.head.strides
    assert [tuple(output.shape[2:]) for output in outputs] == [
        (math.ceil(height / stride), math.ceil(width / stride)) for stride in strides
    ]
    assert [output.shape[1] - 4 for output in outputs] == [4] + [2] * (len(strides) - 1)
    assert strides == ((4, 8, 16, 32, 64, 128) if name in VGA else (8, 8, 16, 16))
    assert model.head.anchors == ((16, 32, 64, 128, 256, 512) if name in VGA else (8, 16, 32, 48))
    assert (channels, height, width) == ((3, 480, 640) if name in VGA else (1, 240, 320))


@pytest.mark.parametrize("name", ["face-m4", "face-quant", "face-tiny"])
@settings(max_examples=8, deadline=None)
@given(height=st.integers(40, 150), width=st.integers(40, 150))
def test_cells_cover_the_image_at_any_size(name, height, width):
    """No level has a cell centre outside the image, nor leaves more than one stride of the image without a cell."""
    model = create_model(name).eval()
    with torch.no_grad():
        outputs = model(torch.zeros(1, model.in_channels, height, width))
    for output, stride in zip(outputs, model.head.strides, strict=True):
        for cells, side in zip(output.shape[2:], (height, width), strict=True):
            assert (cells - 1) * stride < side
            assert side - cells * stride < stride + 4  # a whole cell, and what the stem's last window leaves over


@pytest.mark.parametrize("name", ["face-m4", "face-quant"])
@pytest.mark.parametrize("training", ["dynamic", "s3fd"])
def test_every_parameter_learns(name, training):
    torch.manual_seed(0)
    model = create_model(name, training=training)
    half = torch.tensor([4.0, 8.0, 16.0, 24.0, 32.0, 64.0, 128.0, 256.0])[:, None]  # one face for every anchor
    target = {"boxes": torch.cat((60 - half, 60 - half, 60 + half, 60 + half), dim=1), "ignore": torch.zeros(0, 4)}
    sum(model.head.loss(model(torch.randn(2, model.in_channels, 128, 128)), [target, target]).values()).backward()
    still = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any()
    ]
    assert still == []


@pytest.mark.parametrize(("training", "prior"), [("dynamic", 0.01), ("s3fd", 0.25)])
def test_scores_start_at_the_prior(training, prior):
    torch.manual_seed(0)
    model = create_model("face-m4", training=training).eval()
    with torch.no_grad():
        boxes, scores = model.head.decode(model(torch.randn(1, 1, 96, 96)))
    assert scores.median().item() == pytest.approx(prior, rel=0.5)
    sides = boxes[..., 2:] - boxes[..., :2]
    assert sides[:, 0].mean().item() == pytest.approx(8, rel=0.1)  # the first anchor


def test_options():
    grey = create_model("face-quant", in_channels=1, input_size=(240, 320))
    assert parameters("face-quant") - sum(p.numel() for p in grey.parameters()) == 2 * 4 * 9
    assert grey.in_channels == 1
    assert grey.input_size == (240, 320)
    reference = create_model("face-m4", rnn_init="reference").stages[0][1].rnn1
    assert torch.all(reference.bias_gate == 1)
    assert torch.all(create_model("face-m4").stages[0][1].rnn1.bias_gate == 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_channels": 0}, "in_channels is 0; it must be a positive integer"),
        ({"input_size": (240,)}, "input_size is"),
        ({"input_size": 240}, "input_size is 240; it must be .height, width."),
        ({"input_size": (240, -1)}, "input_size is"),
        ({"training": "sgd"}, "training is 'sgd'; it may be"),
        ({"rnn_init": "zeros"}, "init is 'zeros'; it may be"),
        ({"name": "face-a"}, "model 'face-m4' has no option 'name'"),
        ({"width": 2}, "model 'face-m4' has no option 'width'; it has: in_channels, input_size, training, rnn_init"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        create_model("face-m4", **options)


def test_l2norm_against_the_formula():
    x = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)
    layer = L2Norm(2, 10)
    layer.weight.data = torch.tensor([10.0, 20.0])
    assert layer(x).flatten().tolist() == pytest.approx([6.0, 16.0], rel=1e-4)


def test_l2norm_of_nothing_has_a_bounded_gradient():
    x = torch.zeros(1, 4, 2, 2, requires_grad=True)
    L2Norm(4, 10)(x).sum().backward()
    assert x.grad.abs().max() <= 10 / math.sqrt(1e-4) + 1e-3


def test_the_reducing_predictor_is_two_branches():
    """Its grouped output equals two separate branches: scores from the first half, offsets from the second."""
    torch.manual_seed(0)
    predictor = S3FDPredictor(4, 4, None, reduce=8).eval()
    x = torch.randn(1, 4, 10, 10)
    with torch.no_grad():
        whole = predictor(x)
        hidden, output = predictor[0](x), predictor[1]
        scores = torch.nn.functional.conv2d(hidden[:, :8], output.weight[:4], output.bias[:4], padding=1)
        offsets = torch.nn.functional.conv2d(hidden[:, 8:], output.weight[4:], output.bias[4:], padding=1)
    assert torch.allclose(whole, torch.cat((scores, offsets), dim=1), atol=1e-6)
    assert whole.shape[2:] == (5, 5)
