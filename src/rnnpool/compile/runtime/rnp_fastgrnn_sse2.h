/* The products of rnp_fastgrnn.c for x86: both units of a pair in a vector, once for each lane. */
#ifndef RNP_FASTGRNN_SSE2_H
#define RNP_FASTGRNN_SSE2_H

#include "rnp_fastgrnn.h"

#include <emmintrin.h>

/* As the portable function of rnp_fastgrnn.c. */
static inline void multiply_pair(const int16_t *weights, const int16_t *state, int32_t units_in,
                                 int32_t sums[2][RNP_LANES]) {
    __m128i first = _mm_setzero_si128(), second = first; /* of the lanes: A, A, B, B */
    for (int32_t k = 0; k < units_in; k += 4) {
        const __m128i w = _mm_loadu_si128((const __m128i *)(const void *)weights);
        const __m128i s = _mm_loadu_si128((const __m128i *)(const void *)state);
        first = _mm_add_epi32(first, _mm_madd_epi16(w, _mm_unpacklo_epi64(s, s)));
        second = _mm_add_epi32(second, _mm_madd_epi16(w, _mm_unpackhi_epi64(s, s)));
        weights += 8;
        state += 8;
    }
    const __m128 f = _mm_castsi128_ps(first), s = _mm_castsi128_ps(second); /* only to be shuffled */
    const __m128i even = _mm_castps_si128(_mm_shuffle_ps(f, s, _MM_SHUFFLE(2, 0, 2, 0)));
    const __m128i odd = _mm_castps_si128(_mm_shuffle_ps(f, s, _MM_SHUFFLE(3, 1, 3, 1)));
    int32_t lanes[RNP_LANES][2];
    _mm_storeu_si128((__m128i *)(void *)lanes, _mm_add_epi32(even, odd));
    for (int32_t unit = 0; unit < 2; unit++) {
        sums[unit][0] = lanes[0][unit];
        sums[unit][1] = lanes[1][unit];
    }
}

#endif
