/* The products of rnp_fastgrnn.c for WebAssembly: both units of a pair in a vector, once for each lane. */
#ifndef RNP_FASTGRNN_SIMD128_H
#define RNP_FASTGRNN_SIMD128_H

#include "rnp_fastgrnn.h"

#include <wasm_simd128.h>

/* As the portable function of rnp_fastgrnn.c. */
static inline void multiply_pair(const int16_t *weights, const int16_t *state, int32_t units_in,
                                 int32_t sums[2][RNP_LANES]) {
    v128_t first = wasm_i32x4_splat(0), second = first; /* of the lanes: A, A, B, B */
    for (int32_t k = 0; k < units_in; k += 4) {
        const v128_t w = wasm_v128_load(weights);
        first = wasm_i32x4_add(first, wasm_i32x4_dot_i16x8(w, wasm_v128_load64_splat(state)));
        second = wasm_i32x4_add(second, wasm_i32x4_dot_i16x8(w, wasm_v128_load64_splat(state + 4)));
        weights += 8;
        state += 8;
    }
    const v128_t even = wasm_i32x4_shuffle(first, second, 0, 4, 2, 6);
    const v128_t odd = wasm_i32x4_shuffle(first, second, 1, 5, 3, 7);
    wasm_v128_store(sums, wasm_i32x4_add(even, odd));
}

#endif
