/* Fully connected layer. */
#ifndef RNP_DENSE_H
#define RNP_DENSE_H

#include "rnp.h"

/* weights: int8_t [ceil4(channels_out)][ceil4(channels_in)], the excess 0; 4-byte aligned.
 * scales: int32_t [ceil4(channels_out)][2]: bias, multiplier. */
typedef struct {
    int32_t channels_in;
    int32_t channels_out;
    const int8_t *weights;
    const int32_t *scales;
} rnp_dense;

/* in uint8_t [ceil4(channels_in)], the excess anything, 4-byte aligned -> out int16_t [channels_out], saturated. */
void rnp_dense_i16(const rnp_dense *layer, const uint8_t *in, int16_t *out);

#endif
