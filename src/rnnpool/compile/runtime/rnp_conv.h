/* Dense convolutions, one output row at a time. */
#ifndef RNP_CONV_H
#define RNP_CONV_H

#include "rnp_pointwise.h"
#include "rnp_tile.h"

/* A convolution with its packed weights (rnp_pointwise.h; K = ceil4(channels * kernel_height * kernel_width)). */
typedef struct {
    rnp_window window;
    const uint32_t *weights;
    int32_t channels_out;   /* even */
    int32_t width_out;      /* pixels */
    int32_t stride_out;     /* bytes from channel to channel of the output row; int16_t: numbers from pixel to pixel */
    uint8_t zero_point_out; /* for the padding behind the output row */
} rnp_conv;

/* Bytes of scratch memory, 4-byte aligned. */
size_t rnp_conv_buffer_size(const rnp_conv *conv);

/* Computes one output row.
 *
 * rows     kernel_height rows, top to bottom; above the first and below the last image row, rows of zero point. Each
 *          is read from pixel -padding to pixel stride * (ceil4(width_out) - 1) - padding + kernel_width - 1: those
 *          beyond the padding may hold anything, but must belong to the caller
 * strides  their channel strides in bytes: 0 lets one row of zero points stand for every channel
 * out      planar, width_out pixels and their padding are written */
void rnp_conv_row(const rnp_conv *conv, const uint8_t *const *rows, const int32_t *strides, uint8_t *out, void *buffer);

/* The same with int16_t output, pixel by pixel: out[x * stride_out + channel], ceil4(width_out) pixels. zero_point_out
 * is not used. */
void rnp_conv_row_i16(const rnp_conv *conv, const uint8_t *const *rows, const int32_t *strides, int16_t *out,
                      void *buffer);

#endif
