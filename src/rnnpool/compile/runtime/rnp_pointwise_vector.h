/* The products of rnp_pointwise.c where there are vectors, 4 pixels in each: one word of weights feeds both sums, as on
 * the Cortex-M4. */
#ifndef RNP_POINTWISE_VECTOR_H
#define RNP_POINTWISE_VECTOR_H

#include "rnp_pointwise.h"

#if RNP_USE_SSE2
#include "rnp_vector_sse2.h"
#else
#include "rnp_vector_simd128.h"
#endif

/* 256 * A + B and B of 4 pixels, modulo 2^32. */
typedef struct {
    rnp_vector both;
    rnp_vector b;
} word_sums;

static inline word_sums add_word(word_sums sum, const int16_t *tile, uint32_t word) {
    const rnp_vector pixels = rnp_load(tile), weights = rnp_splat(word);
    sum.both = rnp_add_dot(sum.both, pixels, weights);
    sum.b = rnp_add_dot(sum.b, pixels, rnp_low_bytes(weights));
    return sum;
}

/* As the portable function of rnp_pointwise.c. */
static inline const uint32_t *accumulate_pair(const int16_t *tile, const uint32_t *weights, int32_t channels_in,
                                              int32_t bits, int32_t a[RNP_TILE_PIXELS], int32_t b[RNP_TILE_PIXELS]) {
    const uint32_t low_halves = UINT32_C(0x0F0F0F0F);
    word_sums sum = {rnp_splat(weights[0]), rnp_splat(weights[1])};
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
    rnp_store(a, rnp_difference_high(sum.both, sum.b));
    rnp_store(b, sum.b);
    return weights;
}

#endif
