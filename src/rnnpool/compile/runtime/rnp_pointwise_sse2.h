/* The products of rnp_pointwise.c for x86, 4 pixels in a vector: PMADDWD is the Cortex-M4's SMLAD, so that here, too, one
 * word of weights feeds both sums. */
#ifndef RNP_POINTWISE_SSE2_H
#define RNP_POINTWISE_SSE2_H

#include "rnp_pointwise.h"

#include <emmintrin.h>

/* 256 * A + B and B of 4 pixels, modulo 2^32. */
typedef struct {
    __m128i both;
    __m128i b;
} sums;

static inline sums add_word(sums sum, const int16_t *tile, uint32_t word) {
    const __m128i pixels = _mm_loadu_si128((const __m128i *)(const void *)tile);
    const __m128i weights = _mm_set1_epi32((int32_t)word);
    const __m128i low_bytes = _mm_srai_epi16(_mm_slli_epi16(weights, 8), 8);
    sum.both = _mm_add_epi32(sum.both, _mm_madd_epi16(pixels, weights));
    sum.b = _mm_add_epi32(sum.b, _mm_madd_epi16(pixels, low_bytes));
    return sum;
}

/* As the portable function of rnp_pointwise.c. */
static inline const uint32_t *accumulate_pair(const int16_t *tile, const uint32_t *weights, int32_t channels_in,
                                              int32_t bits, int32_t a[RNP_TILE_PIXELS], int32_t b[RNP_TILE_PIXELS]) {
    const uint32_t low_halves = UINT32_C(0x0F0F0F0F);
    sums sum = {_mm_set1_epi32((int32_t)weights[0]), _mm_set1_epi32((int32_t)weights[1])};
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
    _mm_storeu_si128((__m128i *)(void *)a, _mm_srai_epi32(_mm_sub_epi32(sum.both, sum.b), 8));
    _mm_storeu_si128((__m128i *)(void *)b, sum.b);
    return weights;
}

#endif
