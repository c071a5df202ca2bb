/* Each pixel scaled to length 1 over its channels.
 *
 *   S = max(1, bias + sum (q - zero_in)^2)      below 2^24
 *   n = floor(sqrt(256 S))
 *   r = floor(numerator / n)
 *   byte = saturate(zero_out + (((q - zero_in) * r + 2^15) >> 16)) */
#ifndef RNP_L2NORM_H
#define RNP_L2NORM_H

#include "rnp.h"

typedef struct {
    int32_t bias;
    uint32_t numerator;
    int32_t zero_in;
    int32_t zero_out;
    int32_t channels;
    int32_t width;      /* pixels */
    int32_t stride_out; /* channel stride of the output row, bytes */
} rnp_l2norm;

/* Computes one row, its padding included; out may be row. */
void rnp_l2norm_row(const rnp_l2norm *layer, const uint8_t *row, int32_t channel_stride, uint8_t *out);

#endif
