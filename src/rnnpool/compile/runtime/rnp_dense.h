/* Fully connected layers: 1x1 convolutions of maps that are one pixel, for which tiles of 4 would be wasted. */
#ifndef RNP_DENSE_H
#define RNP_DENSE_H

#include "rnp_conv.h"

/* Bytes of scratch memory, 4-byte aligned. */
size_t rnp_dense_buffer_size(const rnp_conv *conv);

/* Computes the one output pixel; conv.width_out is 1.
 *
 * row             planar: one byte a channel, channel_stride apart
 * out             planar, with its padding */
void rnp_dense_row(const rnp_conv *conv, const uint8_t *row, int32_t channel_stride, uint8_t *out, void *buffer);

/* The same with int16_t output: out[channel]. */
void rnp_dense_row_i16(const rnp_conv *conv, const uint8_t *row, int32_t channel_stride, int16_t *out, void *buffer);

#endif
