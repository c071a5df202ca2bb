"""The integer head against the float heads, and against a slow twin of its suppression."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnpool.detection import PointHead, S3FDHead
from rnnpool.errors import InputError
from rnnpool.integer.head import (
    LOG,
    OVERLAP,
    POSITION,
    SCORE,
    IntHead,
    candidates_for,
    integer_head,
    power,
    sigmoid,
)
from rnnpool.integer.network import ChannelScales, IntNetwork, IntNode
from rnnpool.integer.tensors import IMAGE

HEADS = [
    PointHead((8, 16, 64)),
    S3FDHead((8, 8, 16), (8, 16, 48), (4, 2, 2)),
    S3FDHead((4, 8, 128), (16, 32, 512), (4, 2, 2), training="s3fd"),
]


def network_for(head, scale: float = 1 / 2048, size: tuple[int, int] = (64, 96)) -> IntNetwork:
    """Outputs alone: nothing is computed."""
    image = IntNode("image", "", None, (), (1, *size), IMAGE)
    outputs = []
    for stride, scores in zip(head.strides, head.scores_per_cell, strict=True):
        channels = scores + 4
        scales = ChannelScales(scale * np.linspace(0.6, 1.4, channels))
        shape = (channels, -(-size[0] // stride), -(-size[1] // stride))
        outputs.append(IntNode(f"map{stride}.{len(outputs)}", "", None, (0,), shape, scales))
    numbers = tuple(range(1, len(outputs) + 1))
    return IntNetwork("made", (image, *outputs), numbers, (False,) * len(outputs))


def stored_outputs(network: IntNetwork, rng: np.random.Generator) -> list[np.ndarray]:
    shapes = [network.nodes[number].shape for number in network.outputs]
    return [np.clip(rng.normal(0, 4000, shape), -32768, 32767).astype(np.int16) for shape in shapes]


@pytest.mark.parametrize("head", HEADS, ids=["point", "s3fd", "published"])
def test_decoding_is_that_of_the_float_head(head):
    network = network_for(head)
    outputs = stored_outputs(network, np.random.default_rng(0))
    integers = integer_head(head, network)
    real = [torch.from_numpy(value)[None] for value in network.real_outputs(outputs)]
    boxes, scores = (value[0].numpy() for value in head.decode(real))
    decoded = [level.decode(output) for level, output in zip(integers.levels, outputs, strict=True)]
    found_scores = np.concatenate([part for part, _ in decoded]) / SCORE
    found_boxes = np.concatenate([part for _, part in decoded]) / POSITION
    assert np.abs(found_scores - scores).max() < 3e-4
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True)
    inside = np.abs(boxes) < 2047
    # A sixteenth of a pixel for the two roundings, and 2^-12 octaves of the size.
    assert (np.abs(found_boxes - boxes) <= 1 / 16 + sides * 3e-4)[inside].all()
    assert integers.vote == (None if head.default_vote_iou is None else round(head.default_vote_iou * OVERLAP))


def test_power_and_sigmoid():
    logs = np.arange(-6 * LOG, 6 * LOG)
    assert np.abs(power(logs, 4000) - 4000 * 2.0 ** (logs / LOG)).max() < 0.5 + 4000 * 64 * 7e-5
    margins = np.concatenate([np.arange(-20 * LOG, 20 * LOG), [-(1 << 21), 1 << 21]])
    scores = sigmoid(margins)
    assert np.abs(scores / SCORE - 1 / (1 + 2.0 ** (-margins / LOG))).max() < 5e-5
    assert (np.diff(scores[:-2]) >= 0).all()
    assert scores[-2:].tolist() == [0, SCORE]
    assert sigmoid(np.array([0])).tolist() == [SCORE // 2]


def slow_suppression(boxes, scores, threshold, iou, vote, candidates) -> list[list[int]]:
    """The definition of rnp_detect.h, a box at a time, in exact fractions."""

    def share(a, b) -> Fraction:
        width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        shared = max(width, 0) * max(height, 0)
        both = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - shared
        return Fraction(shared, both) if shared else Fraction(0)

    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:candidates]
    order = [i for i in order if scores[i] >= threshold]
    dropped: list[int] = []
    found = []
    for place, i in enumerate(order):
        if i in dropped:
            continue
        dropped += [j for j in order[place + 1 :] if j not in dropped and share(boxes[i], boxes[j]) > iou]
        ranked = sorted(dropped, key=order.index) if vote is not None else []
        voters = [i, *[j for j in ranked if share(boxes[i], boxes[j]) >= max(vote, 1e-9)][:127]]
        weights = [max(1, scores[j] // 128) for j in voters]
        means = [
            Fraction(sum(w * (boxes[j][k] - boxes[i][k]) for j, w in zip(voters, weights, strict=True)), sum(weights))
            for k in range(4)
        ]
        # Half of the weight, rounded down, is added before the division is.
        nudge = Fraction(sum(weights) // 2, sum(weights))
        found.append([boxes[i][k] + math.floor(means[k] + nudge) for k in range(4)] + [scores[i]])
    return found


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 30),
    iou=st.sampled_from([1, 307, 512, 800]),
    vote=st.sampled_from([None, 256, 512, 900]),
    candidates=st.integers(1, 40),
    threshold=st.sampled_from([0, 9000, 32768]),
)
def test_suppression_equals_its_definition(seed, count, iou, vote, candidates, threshold):
    rng = np.random.default_rng(seed)
    corner = rng.integers(-100, 100, (count, 2))
    boxes = np.concatenate([corner, corner + rng.integers(0, 120, (count, 2))], axis=1)
    check_suppression(boxes, rng.integers(0, 9, count) * 4096, iou, vote, candidates, threshold)  # many ties


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_about_one_face(seed):
    """More boxes overlap than may vote."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 12, (400, 2))
    boxes = np.concatenate([corner, corner + rng.integers(100, 120, (400, 2))], axis=1)
    check_suppression(boxes, rng.integers(0, 32769, 400), 400, 500, 300, 0)


def check_suppression(boxes, scores, iou, vote, candidates, threshold):
    class Ready:
        """A level whose cells are decoded already."""

        def decode(self, _):
            return scores, boxes

    head = IntHead((Ready(),), iou, vote, candidates)
    share = Fraction(iou, OVERLAP), None if vote is None else Fraction(vote, OVERLAP)
    wanted = slow_suppression(boxes.tolist(), scores.tolist(), threshold, *share, candidates)
    assert head.detect([None], threshold).tolist() == wanted


def test_of_equal_scores_the_first_cells_stay():
    head = PointHead((8,))
    network = network_for(head)
    outputs = [np.zeros(network.nodes[1].shape, np.int16)]
    integers = replace(integer_head(head, network), iou=OVERLAP, candidates=3)
    assert integers.detect(outputs)[:, 0].tolist() == [0, 8 * POSITION, 16 * POSITION]
    assert (integers.detect(outputs)[:, 4] == SCORE // 2).all()


@pytest.mark.parametrize(
    ("head", "options", "message"),
    [
        (PointHead((8,)), {"size": (64, 2048)}, "made takes 2048x64; boxes reach to 2047 pixels"),
        (S3FDHead((8,), (4096,), (2,)), {}, "a box of 4096 pixels; it may have up to 4095"),
        (PointHead((64,)), {"scale": 0.1}, "rescaling ratio"),
    ],
)
def test_geometry_that_does_not_fit_is_refused(head, options, message):
    with pytest.raises(InputError, match=message):
        integer_head(head, network_for(head, **options))


@pytest.mark.parametrize(
    ("pixels", "candidates"), [(96 * 96, 128), (320 * 240, 128), (480 * 320, 256), (640 * 480, 512), (10**7, 512)]
)
def test_larger_images_have_more_candidates(pixels, candidates):
    assert candidates_for(pixels) == candidates


@pytest.mark.parametrize("candidates", [0, 513])
def test_as_many_candidates_as_the_code_can_sum(candidates):
    head = PointHead((8,))
    with pytest.raises(InputError, match=f"candidates is {candidates}; it may be 1..512"):
        integer_head(head, network_for(head), candidates)
