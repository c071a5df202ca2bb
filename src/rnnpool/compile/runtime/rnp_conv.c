/* Windows to tiles, tiles to products. A 1x1 convolution of stride 1 widens its row instead of gathering windows. */
#include "rnp_conv.h"

static int32_t window_size(const rnp_window *window) {
    return RNP_ROUND_UP_4(window->channels * window->kernel_height * window->kernel_width);
}

size_t rnp_conv_buffer_size(const rnp_conv *conv) {
    return (size_t)RNP_TILE_BYTES(window_size(&conv->window));
}

/* The tile of 4 outputs from `column` on. */
static void gather(const rnp_window *window, const uint8_t *const *rows, const int32_t *strides, int32_t column,
                   int16_t *tile) {
    if (window->kernel_height == 1 && window->kernel_width == 1 && window->stride == 1) {
        rnp_widen_tile(rows[0] + column, strides[0], window->channels, tile);
    } else {
        rnp_window_tile(window, rows, strides, column, tile);
    }
}

void rnp_conv_row(const rnp_conv *conv, const uint8_t *const *rows, const int32_t *strides, uint8_t *out, void *buffer) {
    const int32_t size = window_size(&conv->window);
    for (int32_t column = 0; column < conv->width_out; column += RNP_TILE_PIXELS) {
        gather(&conv->window, rows, strides, column, buffer);
        rnp_pointwise_row(buffer, conv->weights, size, conv->channels_out, out + column, conv->stride_out);
    }
    rnp_pad_row(out, conv->stride_out, conv->channels_out, conv->width_out, conv->zero_point_out);
}

void rnp_conv_row_i16(const rnp_conv *conv, const uint8_t *const *rows, const int32_t *strides, int16_t *out,
                      void *buffer) {
    const int32_t size = window_size(&conv->window), stride = conv->stride_out;
    for (int32_t column = 0; column < conv->width_out; column += RNP_TILE_PIXELS) {
        gather(&conv->window, rows, strides, column, buffer);
        rnp_pointwise_i16(buffer, conv->weights, size, conv->channels_out, out + column * stride, stride);
    }
}
