/* Tiles to tiles to rows. */
#include "rnp_pair.h"

size_t rnp_pair_buffer_size(const rnp_pair *pair) {
    return (size_t)(RNP_TILE_BYTES(pair->channels) + RNP_TILE_BYTES(pair->channels_inner));
}

/* The inner tile of 4 pixels. */
static const int16_t *inner_tile(const rnp_pair *pair, const uint8_t *row, int32_t channel_stride, void *buffer) {
    int16_t *const tile = buffer;
    int16_t *const inner = tile + RNP_ROUND_UP_4(pair->channels) * RNP_TILE_PIXELS;
    rnp_widen_tile(row, channel_stride, pair->channels, tile);
    rnp_pointwise_tile(tile, pair->weights_inner, RNP_ROUND_UP_4(pair->channels), pair->channels_inner, inner);
    return inner;
}

void rnp_pair_row(const rnp_pair *pair, const uint8_t *row, int32_t channel_stride, uint8_t *out, void *buffer) {
    for (int32_t column = 0; column < pair->width; column += RNP_TILE_PIXELS) {
        const int16_t *const inner = inner_tile(pair, row + column, channel_stride, buffer);
        rnp_pointwise_row(inner, pair->weights_out, pair->channels_inner, pair->channels_out, out + column,
                          pair->stride_out);
    }
    rnp_pad_row(out, pair->stride_out, pair->channels_out, pair->width, pair->zero_point_out);
}

void rnp_pair_row_i16(const rnp_pair *pair, const uint8_t *row, int32_t channel_stride, int16_t *out, void *buffer) {
    for (int32_t column = 0; column < pair->width; column += RNP_TILE_PIXELS) {
        const int16_t *const inner = inner_tile(pair, row + column, channel_stride, buffer);
        rnp_pointwise_i16(inner, pair->weights_out, pair->channels_inner, pair->channels_out,
                          out + column * pair->channels_out, pair->channels_out);
    }
}
