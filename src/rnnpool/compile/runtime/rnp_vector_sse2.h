/* Four 32-bit lanes, or eight of 16 bits, of x86; PMADDWD is the Cortex-M4's SMLAD. */
#ifndef RNP_VECTOR_SSE2_H
#define RNP_VECTOR_SSE2_H

#include <emmintrin.h>
#include <stdint.h>

typedef __m128i rnp_vector;

static inline rnp_vector rnp_load(const void *from) {
    return _mm_loadu_si128((const __m128i *)from);
}

static inline void rnp_store(void *to, rnp_vector v) {
    _mm_storeu_si128((__m128i *)to, v);
}

static inline rnp_vector rnp_splat(uint32_t word) {
    return _mm_set1_epi32((int32_t)word);
}

/* The signed low byte of every 16-bit lane. */
static inline rnp_vector rnp_low_bytes(rnp_vector v) {
    return _mm_srai_epi16(_mm_slli_epi16(v, 8), 8);
}

/* sum + the dot products of pairs of 16-bit lanes. */
static inline rnp_vector rnp_add_dot(rnp_vector sum, rnp_vector v, rnp_vector w) {
    return _mm_add_epi32(sum, _mm_madd_epi16(v, w));
}

/* (v - w) / 256 in 32-bit lanes, rounded down. */
static inline rnp_vector rnp_difference_high(rnp_vector v, rnp_vector w) {
    return _mm_srai_epi32(_mm_sub_epi32(v, w), 8);
}

#endif
