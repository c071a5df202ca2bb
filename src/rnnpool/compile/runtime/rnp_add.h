/* The sum of two rows with quantisations of their own. */
#ifndef RNP_ADD_H
#define RNP_ADD_H

#include "rnp.h"

/* byte = saturate(requantise(bias + factor_a * a + factor_b * b, multiplier)) */
typedef struct {
    int32_t factor_a; /* 0..16384 */
    int32_t factor_b; /* 0..16384 */
    int32_t bias;
    int32_t multiplier;
    int32_t channels;
    int32_t width;
    int32_t upsample;       /* 1: b is half as wide, and each of its pixels is read twice; else 0 */
    uint8_t zero_point_out; /* for the padding behind the output row */
} rnp_add;

/* Adds planar rows; strides in bytes from channel to channel. out may be a or, without upsampling, b. Pixels up to the
 * next multiple of 4 are read. */
void rnp_add_row(const rnp_add *layer, const uint8_t *a, int32_t stride_a, const uint8_t *b, int32_t stride_b,
                 uint8_t *out, int32_t stride_out);

#endif
