/* Rows to tiles, tiles to products. */
#include "rnp_nibbles.h"

void rnp_nibbles_conv_row(const rnp_conv *conv, const uint8_t *row, int32_t channel_stride, uint8_t *out, void *buffer) {
    const int32_t channels = RNP_ROUND_UP_4(conv->window.channels);
    for (int32_t column = 0; column < conv->width_out; column += RNP_TILE_PIXELS) {
        rnp_widen_tile(row + column, channel_stride, conv->window.channels, buffer);
        rnp_pointwise_row_4(buffer, conv->weights, channels, conv->channels_out, out + column, conv->stride_out);
    }
    rnp_pad_row(out, conv->stride_out, conv->channels_out, conv->width_out, conv->zero_point_out);
}

void rnp_nibbles_pair_row(const rnp_pair *pair, const uint8_t *row, int32_t channel_stride, uint8_t *out, void *buffer) {
    const int32_t channels = RNP_ROUND_UP_4(pair->channels);
    int16_t *const tile = buffer, *const inner = tile + channels * RNP_TILE_PIXELS;
    for (int32_t column = 0; column < pair->width; column += RNP_TILE_PIXELS) {
        rnp_widen_tile(row + column, channel_stride, pair->channels, tile);
        rnp_pointwise_tile_4(tile, pair->weights_inner, channels, pair->channels_inner, inner);
        rnp_pointwise_row_4(inner, pair->weights_out, pair->channels_inner, pair->channels_out, out + column,
                            pair->stride_out);
    }
    rnp_pad_row(out, pair->stride_out, pair->channels_out, pair->width, pair->zero_point_out);
}
