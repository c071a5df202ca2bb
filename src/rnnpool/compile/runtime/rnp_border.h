/* A row with pixels added on both sides: copies of its first and last, or zero points. */
#ifndef RNP_BORDER_H
#define RNP_BORDER_H

#include "rnp.h"

typedef struct {
    int32_t channels;
    int32_t width; /* of the input, pixels */
    int32_t left;  /* pixels added, not negative */
    int32_t right;
    int32_t replicate;      /* 1: copies of the border; 0: zero points */
    int32_t stride_out;     /* channel stride of the output row, bytes */
    uint8_t zero_point_out; /* of the input too */
} rnp_border;

/* Writes one output row, its padding included. row: planar; channel_stride 0 lets one row stand for all channels. out
 * may be row if left is 0 and the strides are equal. */
void rnp_border_row(const rnp_border *layer, const uint8_t *row, int32_t channel_stride, uint8_t *out);

#endif
