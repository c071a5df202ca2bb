/* Pairs of output channels, unpacked and multiplied one after the other. */
#include "rnp_nibbles.h"

#define NIBBLES UINT32_C(0x0F0F0F0F)
#define SIGNS UINT32_C(0x80008000)
#define EIGHTS UINT32_C(0x08080808)

/* 256 * A + B of two channels from A + 8 and B + 8: 0x0808 less in each halfword, of which none borrows. */
static uint32_t centre(uint32_t nibbles) {
    return (nibbles + (SIGNS - EIGHTS)) ^ SIGNS;
}

/* A pair of output channels: K / 4 + 4 words -> K / 2 + 4. Returns what lies behind. */
static const uint32_t *unpack(const uint32_t *packed, int32_t channels_in, uint32_t *words) {
    *words++ = *packed++;
    *words++ = *packed++;
    for (int32_t left = channels_in; left > 0; left -= 4) {
        const uint32_t word = *packed++;
        *words++ = centre(word & NIBBLES);
        *words++ = centre((word >> 4) & NIBBLES);
    }
    *words++ = *packed++;
    *words = *packed++;
    return packed;
}

static size_t pair_bytes(int32_t channels_in) {
    return RNP_POINTWISE_WORDS(channels_in, 2) * sizeof(uint32_t);
}

/* rnp_pointwise_row and rnp_pointwise_tile, with room for a pair of output channels' words. */
static void multiply_row(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                         uint8_t *row, int32_t channel_stride, uint32_t *words) {
    for (int32_t channel = 0; channel < channels_out; channel += 2) {
        weights = unpack(weights, channels_in, words);
        rnp_pointwise_row(tile, words, channels_in, 2, row, channel_stride);
        row += 2 * channel_stride;
    }
}

static void multiply_tile(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                          int16_t *out, uint32_t *words) {
    for (int32_t channel = 0; channel < channels_out; channel += 2) {
        weights = unpack(weights, channels_in, words);
        rnp_pointwise_tile(tile, words, channels_in, 2, out);
        out += 2 * RNP_TILE_PIXELS;
    }
}

size_t rnp_nibbles_conv_buffer_size(const rnp_conv *conv) {
    const int32_t channels = RNP_ROUND_UP_4(conv->window.channels);
    return (size_t)RNP_TILE_BYTES(channels) + pair_bytes(channels);
}

void rnp_nibbles_conv_row(const rnp_conv *conv, const uint8_t *row, int32_t channel_stride, uint8_t *out, void *buffer) {
    const int32_t channels = RNP_ROUND_UP_4(conv->window.channels);
    int16_t *const tile = buffer;
    uint32_t *const words = (uint32_t *)(void *)(tile + channels * RNP_TILE_PIXELS);
    for (int32_t column = 0; column < conv->width_out; column += RNP_TILE_PIXELS) {
        rnp_widen_tile(row + column, channel_stride, conv->window.channels, tile);
        multiply_row(tile, conv->weights, channels, conv->channels_out, out + column, conv->stride_out, words);
    }
    rnp_pad_row(out, conv->stride_out, conv->channels_out, conv->width_out, conv->zero_point_out);
}

size_t rnp_nibbles_pair_buffer_size(const rnp_pair *pair) {
    const int32_t channels = RNP_ROUND_UP_4(pair->channels);
    return rnp_pair_buffer_size(pair) + pair_bytes(channels > pair->channels_inner ? channels : pair->channels_inner);
}

void rnp_nibbles_pair_row(const rnp_pair *pair, const uint8_t *row, int32_t channel_stride, uint8_t *out, void *buffer) {
    const int32_t channels = RNP_ROUND_UP_4(pair->channels);
    int16_t *const tile = buffer, *const inner = tile + channels * RNP_TILE_PIXELS;
    uint32_t *const words = (uint32_t *)(void *)(inner + pair->channels_inner * RNP_TILE_PIXELS);
    for (int32_t column = 0; column < pair->width; column += RNP_TILE_PIXELS) {
        rnp_widen_tile(row + column, channel_stride, pair->channels, tile);
        multiply_tile(tile, pair->weights_inner, channels, pair->channels_inner, inner, words);
        multiply_row(inner, pair->weights_out, pair->channels_inner, pair->channels_out, out + column,
                     pair->stride_out, words);
    }
    rnp_pad_row(out, pair->stride_out, pair->channels_out, pair->width, pair->zero_point_out);
}
