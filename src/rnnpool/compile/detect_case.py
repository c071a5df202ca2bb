"""The head's kernel called on random output maps, as ``kernel_cases`` has it for the others."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rnnpool.compile.kernel_cases import KernelCase
from rnnpool.compile.pack import round_up
from rnnpool.integer.head import LOG, MOST_CANDIDATES, POWERS, IntHead, IntLevel
from rnnpool.target.cases import Case

DETECT_HEADERS = ("rnp_detect.h",)


def random_head(rng: np.random.Generator, levels: int) -> IntHead:
    """A head whose numbers fill their ranges, ends included."""

    def level() -> IntLevel:
        scores = int(rng.integers(1, 5))
        # Margins around +-8 octaves, offsets around +-128 pixels, sizes beyond their limit.
        largest = np.array([2.0**9] * scores + [2.0**11] * 2 + [2.0**12] * 2)
        multipliers = (rng.uniform(0.1, 1, scores + 4) * largest * 2.0**16).astype(np.int32)
        half = int(rng.choice([1, int(rng.integers(2, 4000)), 32767]))
        return IntLevel(multipliers, scores, int(rng.integers(1, 65)), half, int(rng.integers(LOG, 8 * LOG)))

    vote = int(rng.integers(1, 1025)) if rng.random() < 0.8 else None
    candidates = int(rng.choice([1, int(rng.integers(2, 40)), 128, MOST_CANDIDATES]))
    return IntHead(tuple(level() for _ in range(levels)), int(rng.integers(1, 1025)), vote, candidates)


def random_outputs(rng: np.random.Generator, head: IntHead) -> list[NDArray[np.int16]]:
    """A map an output, int16 of all sizes; many cells have equal scores."""
    outputs = []
    for level in head.levels:
        height = 30 if rng.random() < 0.2 else int(rng.integers(1, 9))  # at times more cells than may vote
        shape = (level.scores + 4, height, int(rng.integers(1, 13)))
        numbers = rng.integers(-32768, 32768, shape) >> rng.integers(0, 14, (1, *shape[1:]))
        numbers[: level.scores] &= -int(rng.choice([1, 8192]))
        outputs.append(numbers.astype(np.int16))
    return outputs


def detect_case(
    rng: np.random.Generator, head: IntHead, outputs: Sequence[NDArray[np.int16]], threshold: int
) -> KernelCase:
    """Rows of all outputs, the outputs in turns drawn at random, through rnp_detect_row; then rnp_detect_finish."""
    turns = rng.permutation(np.repeat(np.arange(len(outputs)), [output.shape[1] for output in outputs]))
    rows = np.array([np.count_nonzero(turns[:i] == output) for i, output in enumerate(turns)])
    arrays: dict[str, NDArray] = {
        "powers": POWERS,
        "turns": np.stack([turns, rows], 1).astype(np.int32),
        "out": np.zeros(1 + 5 * head.candidates, np.int32),
    }
    levels, pointers, steps, first = [], [], [], 0
    for i, (level, output) in enumerate(zip(head.levels, outputs, strict=True)):
        channels, height, width = output.shape
        step = round_up(channels, 2)
        arrays[f"values{i}"] = np.full((height, width, step), -7, np.int16)
        arrays[f"values{i}"][:, :, :channels] = output.transpose(1, 2, 0)
        arrays[f"multipliers{i}"] = level.multipliers
        numbers = (level.scores, width, step, level.stride, level.half, level.limit, first)
        levels.append(f"{{@multipliers{i}, {', '.join(map(str, numbers))}}}")
        pointers.append(f"@values{i}")
        steps.append(str(width * step))
        first += height * width
    code = f"""
    const rnp_detect_level levels[] = {{{", ".join(levels)}}};
    const int16_t *const maps[] = {{{", ".join(pointers)}}};
    const int32_t rows[] = {{{", ".join(steps)}}};
    const rnp_detect head = {{levels, @powers, {head.candidates}, {head.iou}, {head.vote or 0}}};
    static rnp_detection found[{head.candidates}];
    int32_t count = 0, *out = @out;
    for (int32_t i = 0; i < {len(turns)}; i++) {{
        const int32_t output = @turns[2 * i], row = @turns[2 * i + 1];
        rnp_detect_row(&head, output, row, maps[output] + row * rows[output], found, &count);
    }}
    *out++ = count = rnp_detect_finish(&head, found, count, {threshold});
    for (int32_t i = 0; i < count; i++) {{
        const int32_t numbers[5] = {{found[i].x1, found[i].y1, found[i].x2, found[i].y2, found[i].score}};
        for (int32_t k = 0; k < 5; k++) {{ *out++ = numbers[k]; }}
    }}"""

    def read(arrays: Mapping[str, NDArray]) -> NDArray:
        out = arrays["out"]
        return out[1 : 1 + 5 * out[0]].reshape(-1, 5)

    name = f"detections of {first} cells, at most {head.candidates}"
    return KernelCase(name, Case(code, arrays), read, head.detect(outputs, threshold), first)
