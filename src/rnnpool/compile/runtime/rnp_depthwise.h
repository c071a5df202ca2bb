/* Depthwise 3x3 convolution with padding 1, stride 1 or 2, one output row at a time.
 *
 * Weights: 4 uint32_t words a channel: for each kernel row, top to bottom, int8_t w0, w1, w2 from the lowest byte up, and
 * in the highest bytes the multiplier's, its highest first (its lowest is 0); then the bias. */
#ifndef RNP_DEPTHWISE_H
#define RNP_DEPTHWISE_H

#include "rnp.h"

#define RNP_DEPTHWISE_WORDS(channels) ((size_t)(channels)*4u)

typedef struct {
    const uint32_t *weights;
    int32_t channels;
    int32_t stride;         /* 1 or 2 */
    int32_t width_out;      /* pixels; ceil(width of the input / stride) */
    int32_t stride_out;     /* channel stride of the output row, bytes */
    int32_t padded;         /* 1: the output row gets its padding; 0: nobody reads it, and it may belong to others */
    uint8_t zero_point_out; /* for the padding behind the output row */
} rnp_depthwise;

/* Computes one output row.
 *
 * rows     pixel 0 of channel 0 of three input rows, top to bottom, with their padding
 * strides  their channel strides in bytes: 0 lets one row of zero points stand for every channel
 * out      planar; width_out pixels, rounded up to 4, are written, and the padding. The output may overwrite the first
 *          of the input rows if it begins 4 bytes before it, with the same channel stride
 *
 * Pixels -1 .. stride * ceil4(width_out) are read; those beyond the padding may hold anything. */
void rnp_depthwise_row(const rnp_depthwise *layer, const uint8_t *const rows[3], const int32_t strides[3], uint8_t *out);

#endif
