/* Sources of tiles: 4 pixels of a row widened, and 4 windows of a convolution. */
#ifndef RNP_TILE_H
#define RNP_TILE_H

#include "rnp.h"

/* Widens 4 pixels of `channels` planar channels.
 *
 * row             uint8_t, the first of the 4 pixels; all 4 are read. 4-byte alignment is faster, not required
 * channel_stride  bytes
 * tile            int16_t [ceil4(channels) / 2][4][2], 4-byte aligned; channels in excess become 0 */
void rnp_widen_tile(const uint8_t *row, int32_t channel_stride, int32_t channels, int16_t *tile);

/* A convolution's windows. */
typedef struct {
    int32_t channels;      /* of the input */
    int32_t kernel_height; /* rows */
    int32_t kernel_width;
    int32_t stride; /* of the columns */
    int32_t padding; /* columns of zero point before the first pixel, 0..4, that the rows hold */
} rnp_window;

/* Gathers the windows of 4 neighbouring outputs: k = (channel * kernel_height + y) * kernel_width + x.
 *
 * rows    kernel_height pointers to pixel 0 of channel 0 of each row, top to bottom
 * strides their channel strides in bytes: 0 lets one row of zero points stand for every channel
 * column  the first of the 4 outputs
 * tile    int16_t [ceil4(channels * kernel_height * kernel_width) / 2][4][2]; the excess becomes 0
 *
 * Reads pixels stride * column - padding .. stride * (column + 3) - padding + kernel_width - 1. */
void rnp_window_tile(const rnp_window *window, const uint8_t *const *rows, const int32_t *strides, int32_t column,
                     int16_t *tile);

#endif
