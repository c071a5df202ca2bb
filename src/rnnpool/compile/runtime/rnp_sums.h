/* A dense 3x3 convolution with padding 1 and few output channels, whose sums wait instead of its input rows.
 *
 * Each input row is gathered and multiplied once, as it comes: it completes the output row above it, is the middle of
 * its own, and begins the one below. Two rows of sums are kept, 4 bytes a pixel and output channel; three rows of input
 * would be read otherwise. */
#ifndef RNP_SUMS_H
#define RNP_SUMS_H

#include "rnp_pointwise.h"
#include "rnp_tile.h"

typedef struct {
    int32_t channels;
    int32_t channels_out; /* even */
    int32_t width;        /* pixels */
    int32_t height;       /* rows */
    const uint32_t *weights[3]; /* of the kernel's rows, top to bottom: rnp_pointwise.h, K = ceil4(3 * channels) */
} rnp_sums;

/* Bytes that live from row to row, and scratch bytes for the time of a call; both 4-byte aligned. */
size_t rnp_sums_state_size(const rnp_sums *layer);
size_t rnp_sums_buffer_size(const rnp_sums *layer);

/* Takes the input rows -1 .. height in turn: the first and the last lie outside the image and hold zero points. With row
 * i > 0 the output row i - 1 is complete.
 *
 * pixels  planar, read from pixel -1 to ceil4(width)
 * stride  channel stride in bytes; 0 lets one row of zero points stand for every channel
 * out     int16_t out[x * channels_out + channel], ceil4(width) pixels; not written if row is below 1 */
void rnp_sums_row(const rnp_sums *layer, void *state, int32_t row, const uint8_t *pixels, int32_t stride, int16_t *out,
                  void *buffer);

#endif
