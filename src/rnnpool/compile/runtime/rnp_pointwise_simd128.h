/* The products of rnp_pointwise.c for WebAssembly, 4 pixels in a vector: its dot product of pairs is the Cortex-M4's
 * SMLAD, so that here, too, one word of weights feeds both sums. */
#ifndef RNP_POINTWISE_SIMD128_H
#define RNP_POINTWISE_SIMD128_H

#include "rnp_pointwise.h"

#include <wasm_simd128.h>

/* 256 * A + B and B of 4 pixels, modulo 2^32. */
typedef struct {
    v128_t both;
    v128_t b;
} sums;

static inline sums add_word(sums sum, const int16_t *tile, uint32_t word) {
    const v128_t pixels = wasm_v128_load(tile);
    const v128_t weights = wasm_i32x4_splat((int32_t)word);
    const v128_t low_bytes = wasm_i16x8_shr(wasm_i16x8_shl(weights, 8), 8);
    sum.both = wasm_i32x4_add(sum.both, wasm_i32x4_dot_i16x8(pixels, weights));
    sum.b = wasm_i32x4_add(sum.b, wasm_i32x4_dot_i16x8(pixels, low_bytes));
    return sum;
}

/* As the portable function of rnp_pointwise.c. */
static inline const uint32_t *accumulate_pair(const int16_t *tile, const uint32_t *weights, int32_t channels_in,
                                              int32_t bits, int32_t a[RNP_TILE_PIXELS], int32_t b[RNP_TILE_PIXELS]) {
    const uint32_t low_halves = UINT32_C(0x0F0F0F0F);
    sums sum = {wasm_i32x4_splat((int32_t)weights[0]), wasm_i32x4_splat((int32_t)weights[1])};
    weights += 2;
    for (int32_t channel = 0; channel < channels_in; channel += 4) {
        uint32_t first = *weights++, second;
        if (bits == 8) {
            second = *weights++;
        } else {
            second = (first >> 4 & low_halves) - RNP_POINTWISE_SEVENS;
            first = (first & low_halves) - RNP_POINTWISE_SEVENS;
        }
        sum = add_word(sum, tile, first);
        sum = add_word(sum, tile + 2 * RNP_TILE_PIXELS, second);
        tile += 4 * RNP_TILE_PIXELS;
    }
    wasm_v128_store(a, wasm_i32x4_shr(wasm_i32x4_sub(sum.both, sum.b), 8));
    wasm_v128_store(b, sum.b);
    return weights;
}

#endif
