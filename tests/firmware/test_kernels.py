"""Every kernel, portable and in assembly, gives the simulator's very bytes, its padding included.

On the host the sanitizers watch; in the emulator the Cortex-M4 assembly and the portable C both run.
"""

from dataclasses import replace

import numpy as np
import pytest

from rnnpool.compile import RUNTIME_FOLDER, runtime_sources
from rnnpool.compile.kernel_cases import (
    HEADERS,
    KernelCase,
    add_case,
    border_case,
    conv_case,
    dense_case,
    depthwise_case,
    expand_case,
    expand_project_case,
    l2norm_case,
    mean_case,
    nibbles_case,
    sums_case,
)
from rnnpool.compile.random_layers import (
    random_cell,
    random_conv,
    random_map,
    random_rnnpool,
    random_states,
)
from rnnpool.compile.recurrent_cases import projection_case, rnnpool_case, step_case
from rnnpool.integer.elementwise import IntPad, quantise_add, quantise_mean
from rnnpool.integer.l2norm import quantise_l2norm
from rnnpool.integer.recurrent import quantise_projection
from rnnpool.integer.tensors import Quantisation
from rnnpool.target.cases import Result, run_cases_on_host, run_cases_on_target
from rnnpool.target.toolchain import missing_tools

needs_toolchain = pytest.mark.skipif(missing_tools() is not None, reason=f"firmware: {missing_tools()}")
needs_host_gcc = pytest.mark.skipif(missing_tools(["gcc"]) is not None, reason=f"host C: {missing_tools(['gcc'])}")


def odd_cases(rng) -> list[KernelCase]:
    """One case of each kernel with sizes drawn at random, odd ones and single pixels among them."""

    def draw(low, high):
        return int(rng.integers(low, high + 1))

    channels, outputs, height, width = draw(1, 13), 2 * draw(1, 6), draw(1, 5), draw(1, 23)
    x = random_map(rng, channels, height, width)
    kernel, stride = (draw(1, 3), draw(1, 3)), (draw(1, 2), draw(1, 2))
    padding = (kernel[0] // 2, kernel[1] // 2)
    tall = random_map(rng, draw(1, 4), max(height, 3), max(width, 3))
    groups, parts = draw(2, 4), random_map(rng, draw(1, 3), max(height, 3), max(width, 3))
    parts = np.concatenate([random_map(rng, len(parts), *parts.shape[1:]) for _ in range(groups)])
    sizes = (groups * outputs, len(parts), kernel, stride, padding)
    inner = 4 * draw(1, 5)
    expand = random_conv(rng, inner, channels)
    project = replace(random_conv(rng, outputs, inner), zero_in=expand.zero_out)
    tall_x = random_map(rng, channels, draw(2, 5), width)
    wide = random_conv(rng, draw(1, 11), channels)
    down = random_conv(rng, len(wide.weights), len(wide.weights), (3, 3), (2, 2), (1, 1), depthwise=True)
    down = replace(down, zero_in=wide.zero_out)
    thin_expand, thin = random_conv(rng, inner, channels, most=7), random_conv(rng, outputs, inner, most=7)
    thin = replace(thin, zero_in=thin_expand.zero_out)
    scales = [Quantisation(float(rng.uniform(0.01, 0.1)), draw(0, 255)) for _ in range(3)]
    row, other_row, half_row = (
        x[:, :1],
        random_map(rng, channels, 1, width),
        random_map(rng, channels, 1, -(-width // 2)),
    )
    sum_scale = Quantisation(max(scale.scale for scale in scales) * 1.7, draw(0, 255))
    units = draw(2, 21)
    cell, other = random_cell(rng, units), random_cell(rng, draw(2, 21))
    p = rng.integers(-9000, 17000, (2, units)).astype(np.int16)
    pool_kernel = (draw(2, 8), draw(2, 8))
    pool_stride = (draw(1, pool_kernel[0]), draw(1, pool_kernel[1]))
    pool_padding = (draw(0, 2), draw(0, 2))
    pool = random_rnnpool(rng, draw(1, 9), draw(2, 17), draw(2, 17), pool_kernel, pool_stride, pool_padding)
    pool = replace(pool, narrow=bool(draw(0, 1)))
    pool_map = random_map(rng, pool.project_input.weights.shape[1], draw(8, 17), draw(8, 21))
    dense_in = draw(1, 40)
    return [
        conv_case(random_conv(rng, outputs, channels), x),
        conv_case(random_conv(rng, outputs, tall.shape[0], kernel, stride, padding), tall),
        conv_case(random_conv(rng, draw(1, 9), tall.shape[0], kernel, stride, padding), tall, wide=True),
        conv_case(random_conv(rng, *sizes, groups=groups), parts),
        conv_case(random_conv(rng, *sizes, groups=groups), parts, wide=True),
        depthwise_case(random_conv(rng, channels, channels, (3, 3), (1, 1), (1, 1), depthwise=True), x),
        depthwise_case(random_conv(rng, channels, channels, (3, 3), (2, 2), (1, 1), depthwise=True), x),
        expand_project_case(expand, project, row),
        expand_project_case(thin_expand, thin, row),
        nibbles_case(random_conv(rng, draw(1, 12), channels, most=7), row),
        expand_case(wide, down, x, group=2 * draw(1, 6)),
        sums_case(random_conv(rng, draw(1, 9), channels, (3, 3), (1, 1), (1, 1)), tall_x),
        add_case(quantise_add(scales[0], scales[1], sum_scale), sum_scale.zero_point, row, other_row),
        add_case(quantise_add(scales[0], scales[1], sum_scale), sum_scale.zero_point, row, half_row),
        mean_case(quantise_mean(scales[0], scales[2], tall[0].size), tall),
        border_case(IntPad((draw(0, 3), draw(0, 5), 0, 0), bool(draw(0, 1)), draw(0, 255)), row),
        l2norm_case(quantise_l2norm(scales[0], Quantisation(1 / 100, draw(0, 255)), channels, draw(0, 1) * 0.01), row),
        dense_case(random_conv(rng, draw(1, 9), dense_in), random_map(rng, dense_in, 1, 1)[:, 0, 0]),
        dense_case(random_conv(rng, draw(1, 9), dense_in), random_map(rng, dense_in, 1, 1)[:, 0, 0], wide=False),
        step_case(cell, p, random_states(rng, 2, units)),
        step_case(cell, p, None),
        projection_case(
            quantise_projection(rng.normal(size=(len(other.gates), units)) * 0.5, other), random_states(rng, 2, units)
        ),
        rnnpool_case(pool, pool_map),
    ]


def compare(cases: list[KernelCase], results: list[Result]) -> None:
    for case, result in zip(cases, results, strict=True):
        np.testing.assert_array_equal(case.read(result.arrays), case.expected, err_msg=case.name)


@needs_host_gcc
@pytest.mark.parametrize("defines", [(), ("RNP_USE_SSE2=0",)], ids=["as it comes", "portable"])
def test_kernels_on_the_host(defines):
    """As it comes is with vectors on x86."""
    rng = np.random.default_rng(1)
    cases = [case for _ in range(12) for case in odd_cases(rng)]
    results = run_cases_on_host(
        [case.case for case in cases],
        runtime_sources(portable=True),
        [RUNTIME_FOLDER],
        headers=HEADERS,
        defines=defines,
    )
    compare(cases, results)


@needs_toolchain
@pytest.mark.parametrize("defines", [(), ("RNP_USE_M4_DSP=0",)], ids=["assembly", "portable"])
def test_kernels_in_the_emulator(defines):
    rng = np.random.default_rng(2)
    cases = [case for _ in range(8) for case in odd_cases(rng)]
    results, _ = run_cases_on_target(
        [case.case for case in cases], runtime_sources(), [RUNTIME_FOLDER], headers=HEADERS, defines=defines
    )
    compare(cases, results)


@needs_toolchain
def test_instructions_a_multiply_add():
    """The budget of the kernels (issue: 1x1 <= 1.3, depthwise stride 1 <= 2.3, RNNPool <= 1.5)."""
    rng = np.random.default_rng(3)
    cases = [
        conv_case(random_conv(rng, 128, 64), random_map(rng, 64, 1, 40)),
        depthwise_case(random_conv(rng, 64, 64, (3, 3), padding=(1, 1), depthwise=True), random_map(rng, 64, 3, 40)),
        rnnpool_case(random_rnnpool(rng, 8, 16, 16, (8, 8), (4, 4), (2, 2)), random_map(rng, 8, 28, 160)),
    ]
    results, _ = run_cases_on_target(
        [case.case for case in cases], runtime_sources(), [RUNTIME_FOLDER], headers=HEADERS
    )
    compare(cases, results)
    spent = [result.instructions / case.multiply_adds for case, result in zip(cases, results, strict=True)]
    assert (np.array(spent) <= [0.95, 1.95, 1.5]).all(), spent


def test_random_layers_reach_both_ends():
    """Saturation is tested only if results do saturate."""
    rng = np.random.default_rng(4)
    y = random_conv(rng, 8, 16).run(random_map(rng, 16, 4, 8))
    assert (y == 0).mean() > 0.05
    assert (y == 255).mean() > 0.05
    assert ((y > 0) & (y < 255)).mean() > 0.3
