"""The RNNPool found for two sizes maps one to the other."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.errors import InputError
from rnnpool.nn import RNNPool2d
from rnnpool.surgery import fit_rnnpool

SIZES = st.tuples(st.integers(4, 24), st.integers(4, 24))


@settings(max_examples=30, deadline=None)
@given(sizes=SIZES, stride=st.integers(2, 8), c_out=st.integers(1, 20), same=st.booleans())
def test_what_a_strided_convolution_does_an_rnnpool_can(
    sizes: tuple[int, int], stride: int, c_out: int, same: bool
) -> None:
    """Both common output sizes of a convolution with stride s, ceil(n / s) and floor(n / s), can be met."""
    wanted = tuple(-(-n // stride) if same else max(1, n // stride) for n in sizes)
    fit = fit_rnnpool((3, *sizes), (c_out, *wanted))
    assert fit.build()(torch.zeros(1, 3, *sizes)).shape == (1, c_out, *wanted)


@pytest.mark.parametrize(
    ("in_shape", "out_shape", "kernel", "stride", "output_padding"),
    [
        ((32, 112, 112), (64, 28, 28), 6, 4, "replicate"),  # MobileNetV2-RNNPool, rnnpool.md section 5
        ((64, 112, 112), (64, 14, 14), 12, 8, "replicate"),  # its ablation with stride 8
        ((64, 112, 112), (64, 56, 56), 3, 2, "replicate"),  # as ResNet's max pooling
        ((8, 48, 48), (32, 12, 12), 6, 4, "replicate"),  # VWW at 96 x 96
        ((1280, 7, 7), (1280, 1, 1), 7, 7, "none"),  # the last pooling
        ((3, 32, 32), (128, 1, 1), 32, 32, "none"),  # CIFAR-10 pooled at once
    ],
)
def test_the_published_sites_are_found(in_shape, out_shape, kernel, stride, output_padding) -> None:
    fit = fit_rnnpool(in_shape, out_shape)
    assert (fit.kernel, fit.stride, fit.padding) == ((kernel, kernel), (stride, stride), (0, 0))
    assert fit.output_padding == output_padding
    assert fit.hidden == (out_shape[0] // 4, out_shape[0] // 4)
    assert isinstance(fit.build(), RNNPool2d)


def test_each_axis_has_its_own_stride() -> None:
    fit = fit_rnnpool((3, 40, 20), (8, 10, 10))
    assert (fit.stride, fit.kernel) == ((4, 2), (6, 3))


def test_channels_that_rnnpool_does_not_give_come_from_a_1x1_convolution() -> None:
    built = fit_rnnpool((3, 16, 16), (10, 4, 4), hidden=(5, 6)).build(norm=True, cell="gru")
    assert list(dict(built.named_children())) == ["rnnpool", "norm", "project"]
    assert (built.rnnpool.hidden1, built.rnnpool.hidden2, built.rnnpool.cell) == (5, 6, "gru")
    assert built(torch.zeros(2, 3, 16, 16)).shape == (2, 10, 4, 4)


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((3, 8, 8), (4, 8, 8)), {}, "nothing is pooled"),
        (((3, 8, 8), (4, 16, 16)), {}, "output is larger"),
        (((3, 8, 8), (4, 4, 16)), {}, "output is larger"),
        (((3, 112, 112), (4, 28, 28)), {"stride": 8}, "patches of 12 every 8 of 112 pixels give .* positions, not 28"),
        (((3, 112, 112), (4, 28, 28)), {"kernel": 0}, "kernel is 0"),
        (((3, 112, 112), (4, 28, 28)), {"hidden": (1, 2, 3)}, r"hidden is \(1, 2, 3\)"),
        (((3, 112, 112), (4, 100, 100)), {}, "cannot map 3x112x112 to 4x100x100"),
    ],
)
def test_what_no_rnnpool_maps_is_named(shapes, options, message) -> None:
    with pytest.raises(InputError, match=message):
        fit_rnnpool(*shapes, **options)
