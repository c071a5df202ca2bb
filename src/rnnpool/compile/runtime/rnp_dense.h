/* Fully connected layer: the matrix product of one pixel. */
#ifndef RNP_DENSE_H
#define RNP_DENSE_H

#include "rnp.h"

/* Weights: int8_t [channels_out][ceil4(channels_in)], each row in words of bytes (k, k + 2, k + 1, k + 3), the excess 0;
 * 4-byte aligned. scales: int32_t [channels_out][2]: bias, multiplier. */
typedef struct {
    int32_t channels_in;
    int32_t channels_out;
    const int8_t *weights;
    const int32_t *scales;
} rnp_dense;

/* Bytes of scratch memory, 4-byte aligned. */
size_t rnp_dense_buffer_size(const rnp_dense *layer);

/* in uint8_t [channels_in] -> out int16_t [channels_out], saturated to 16 bits. */
void rnp_dense_i16(const rnp_dense *layer, const uint8_t *in, int16_t *out, void *buffer);

#endif
