"""Decoding, the best cells, suppression and voting in C give the simulator's very detections."""

import numpy as np
import pytest

from rnnpool.compile import RUNTIME_FOLDER
from rnnpool.compile.detect_case import DETECT_HEADERS, detect_case, random_head, random_outputs
from rnnpool.compile.kernel_cases import KernelCase
from rnnpool.integer.head import SCORE
from rnnpool.target.cases import Result, run_cases_on_host, run_cases_on_target
from rnnpool.target.toolchain import missing_tools

needs_toolchain = pytest.mark.skipif(missing_tools() is not None, reason=f"firmware: {missing_tools()}")
needs_host_gcc = pytest.mark.skipif(missing_tools(["gcc"]) is not None, reason=f"host C: {missing_tools(['gcc'])}")

SOURCES = [RUNTIME_FOLDER / "rnp_detect.c"]


def draw(seed: int, count: int) -> list[KernelCase]:
    rng = np.random.default_rng(seed)
    cases = []
    for _ in range(count):
        head = random_head(rng, int(rng.integers(1, 5)))
        threshold = int(rng.choice([0, rng.integers(0, SCORE + 1), SCORE]))
        cases.append(detect_case(rng, head, random_outputs(rng, head), threshold))
    return cases


def compare(cases: list[KernelCase], results: list[Result]) -> None:
    for case, result in zip(cases, results, strict=True):
        np.testing.assert_array_equal(case.read(result.arrays), case.expected, err_msg=case.name)
    counts = [len(case.expected) for case in cases]
    assert min(counts) == 0  # thresholds that nothing reaches
    assert max(counts) > 20


@needs_host_gcc
def test_on_the_host():
    cases = draw(1, 30)
    results = run_cases_on_host([case.case for case in cases], SOURCES, [RUNTIME_FOLDER], headers=DETECT_HEADERS)
    compare(cases, results)


@needs_toolchain
def test_in_the_emulator():
    cases = draw(2, 30)
    results, _ = run_cases_on_target([case.case for case in cases], SOURCES, [RUNTIME_FOLDER], headers=DETECT_HEADERS)
    compare(cases, results)


def test_random_heads_reach_every_end():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(100):
        head = random_head(rng, 2)
        found.append(head.detect(random_outputs(rng, head)))
    boxes, scores = np.concatenate(found)[:, :4], np.concatenate(found)[:, 4]
    assert boxes.min() == -32768
    assert boxes.max() == 32767
    assert scores.min() == 0
    assert scores.max() == SCORE
    assert (np.unique(scores, return_counts=True)[1] > 1).any()  # ties
