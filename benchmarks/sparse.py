"""RNNPool's matrices stored sparse or dense: bytes of flash, and instructions of a product with two states.

Face-M4 of the paper keeps 50% of W1 and 30% of U1, W2 and U2. Dense is rnp_project_states,
which loads two numbers a word and multiplies them in one instruction; sparse goes through lists of the numbers that are
not 0, both sequences' states side by side so that one load brings both. Run: python benchmarks/sparse.py
"""

import numpy as np
from numpy.typing import NDArray

from rnnpool.compile import RUNTIME_FOLDER, runtime_sources
from rnnpool.compile.kernel_cases import HEADERS
from rnnpool.compile.pack import lanes, pack_quads
from rnnpool.target.cases import Case, run_cases_on_target

UNITS = 16
DENSITIES = (1.0, 0.5, 0.3, 0.2, 0.1)

# counts: of each row; places: the columns of its numbers. Sums of both sequences, >> 16 as rnp_project_states does.
SPARSE = f"""
    const uint8_t *place = @places;
    const int16_t *number = @numbers;
    for (int32_t unit = 0; unit < {UNITS}; unit++) {{
        int32_t sum0 = @bias[unit], sum1 = sum0;
        for (int32_t left = @counts[unit]; left > 0; left--) {{
            const uint32_t both = @states[*place++];
            const int32_t weight = *number++;
            sum0 += weight * (int16_t)(both & 0xFFFFu);
            sum1 += weight * (int16_t)(both >> 16);
        }}
        @p[unit] = (int16_t)(sum0 >> 16);
        @p[{UNITS} + unit] = (int16_t)(sum1 >> 16);
    }}"""
DENSE = f"""
    const rnp_projection layer = {{{UNITS}, {UNITS}, @weights, @bias}};
    rnp_project_states(&layer, @states, @p, @p + {UNITS});"""


def sparse_bytes(kept: int, entries: int) -> dict[str, int]:
    """Flash of ``kept`` int16 numbers out of ``entries``: with a byte for each place, and with a bit for each entry."""
    return {"places": 3 * kept + UNITS, "bitmap": 2 * kept + entries // 8}


def cases(matrix: NDArray[np.int16], states: NDArray[np.int16]) -> list[Case]:
    """Dense and sparse: matrix (units, units), states (2, units)."""
    bias, p = np.full(UNITS, 1 << 15, np.int32), np.zeros((2, UNITS), np.int16)
    both = (states[0].astype(np.uint16) | states[1].astype(np.uint16).astype(np.uint32) << 16).astype(np.uint32)
    rows, columns = np.nonzero(matrix)
    sparse: dict[str, NDArray] = {
        "places": columns.astype(np.uint8),
        "numbers": matrix[rows, columns],
        "counts": np.bincount(rows, minlength=UNITS).astype(np.uint8),
        "states": both,
        "bias": bias,
        "p": p,
    }
    dense: dict[str, NDArray] = {"weights": pack_quads(matrix), "states": lanes(*states), "bias": bias, "p": p.copy()}
    return [Case(DENSE, dense), Case(SPARSE, sparse)]


def main() -> None:
    rng = np.random.default_rng(0)
    states = rng.integers(-32767, 32768, (2, UNITS)).astype(np.int16)
    print(f"{UNITS}x{UNITS}, two states   flash, bytes: dense  places  bitmap    instructions: dense  places")
    for density in DENSITIES:
        matrix = rng.integers(-900, 901, (UNITS, UNITS))
        keep = rng.permutation(matrix.size).reshape(matrix.shape) < round(density * matrix.size)
        matrix = np.where(keep, np.where(matrix == 0, 1, matrix), 0).astype(np.int16)
        both, _ = run_cases_on_target(
            cases(matrix, states), runtime_sources(), [RUNTIME_FOLDER], headers=HEADERS, defines=()
        )
        np.testing.assert_array_equal(both[0].arrays["p"].reshape(2, UNITS), both[1].arrays["p"])
        sizes = sparse_bytes(int((matrix != 0).sum()), matrix.size)
        print(
            f"density {density:4.0%}{matrix.nbytes:29,}{sizes['places']:8,}{sizes['bitmap']:8,}"
            f"{both[0].instructions:23,}{both[1].instructions:8,}"
        )


if __name__ == "__main__":
    main()
