/* Two 1x1 convolutions, one after the other: the tensor between them, often the widest, is never more than a tile. */
#ifndef RNP_PAIR_H
#define RNP_PAIR_H

#include "rnp_pointwise.h"
#include "rnp_tile.h"

typedef struct {
    int32_t channels;
    int32_t channels_inner;        /* a multiple of 4 */
    int32_t channels_out;          /* even */
    int32_t width;                 /* pixels */
    const uint32_t *weights_inner; /* rnp_pointwise.h */
    const uint32_t *weights_out;
    int32_t stride_out;     /* channel stride of the output row, bytes */
    uint8_t zero_point_out; /* for the padding behind the output row */
} rnp_pair;

/* Bytes of scratch memory, 4-byte aligned. */
size_t rnp_pair_buffer_size(const rnp_pair *pair);

/* Computes one row. row: planar, channel_stride bytes from channel to channel; out: planar. */
void rnp_pair_row(const rnp_pair *pair, const uint8_t *row, int32_t channel_stride, uint8_t *out, void *buffer);

/* The same with int16_t output, pixel by pixel: out[x * channels_out + channel], ceil4(width) pixels. */
void rnp_pair_row_i16(const rnp_pair *pair, const uint8_t *row, int32_t channel_stride, int16_t *out, void *buffer);

#endif
