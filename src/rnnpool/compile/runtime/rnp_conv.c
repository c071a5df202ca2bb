/* Windows to tiles, tiles to products. A 1x1 convolution of stride 1 widens its row instead of gathering windows. */
#include "rnp_conv.h"

static int32_t window_size(const rnp_window *window) {
    return RNP_ROUND_UP_4(window->channels * window->kernel_height * window->kernel_width);
}

size_t rnp_conv_buffer_size(const rnp_conv *conv) {
    return (size_t)RNP_TILE_BYTES(window_size(&conv->window));
}

void rnp_conv_row(const rnp_conv *conv, const uint8_t *const *rows, uint8_t *out, void *buffer) {
    const rnp_window *const window = &conv->window;
    const int32_t pointwise = window->kernel_height == 1 && window->kernel_width == 1 && window->stride == 1;
    const int32_t size = window_size(window);
    int16_t *const tile = buffer;
    for (int32_t column = 0; column < conv->width_out; column += RNP_TILE_PIXELS) {
        if (pointwise) {
            rnp_widen_tile(rows[0] + column, window->channel_stride, window->channels, tile);
        } else {
            rnp_window_tile(window, rows, column, tile);
        }
        rnp_pointwise_row(tile, conv->weights, size, conv->channels_out, out + column, conv->stride_out);
    }
    rnp_pad_row(out, conv->stride_out, conv->channels_out, conv->width_out, conv->zero_point_out);
}
