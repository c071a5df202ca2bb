/* Tiles from planar rows: a transposition of 4 pixels by 2 channels at a time. */
#include "rnp_tile.h"

#include <string.h>

#if RNP_USE_M4_DSP
static uint32_t load_word(const uint8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, 4);
    return word;
}

void rnp_widen_tile(const uint8_t *row, int32_t channel_stride, int32_t channels, int16_t *tile) {
    uint32_t *out = (uint32_t *)(void *)tile;
    int32_t channel = 0;
    for (; channel + 1 < channels; channel += 2) {
        const uint32_t a = load_word(row), b = load_word(row + channel_stride);
        const uint32_t a02 = rnp_even_bytes(a), a13 = rnp_odd_bytes(a), b02 = rnp_even_bytes(b), b13 = rnp_odd_bytes(b);
        out[0] = (a02 & 0xFFFFu) | (b02 << 16);
        out[1] = (a13 & 0xFFFFu) | (b13 << 16);
        out[2] = (a02 >> 16) | (b02 & 0xFFFF0000u);
        out[3] = (a13 >> 16) | (b13 & 0xFFFF0000u);
        out += 4;
        row += 2 * channel_stride;
    }
    if (channel < channels) {
        for (int32_t pixel = 0; pixel < 4; pixel++) {
            *out++ = row[pixel];
        }
        channel += 2;
    }
    if (channel < RNP_ROUND_UP_4(channels)) {
        memset(out, 0, 16);
    }
}
#else
void rnp_widen_tile(const uint8_t *row, int32_t channel_stride, int32_t channels, int16_t *tile) {
    for (int32_t channel = 0; channel < RNP_ROUND_UP_4(channels); channel++) {
        for (int32_t pixel = 0; pixel < RNP_TILE_PIXELS; pixel++) {
            int16_t *const place = tile + (channel / 2) * 2 * RNP_TILE_PIXELS + 2 * pixel + channel % 2;
            *place = channel < channels ? (int16_t)row[channel * channel_stride + pixel] : (int16_t)0;
        }
    }
}
#endif

void rnp_window_tile(const rnp_window *window, const uint8_t *const *rows, const int32_t *strides, int32_t column,
                     int16_t *tile) {
    const int32_t stride = window->stride, first = column * stride - window->padding;
    int32_t k = 0;
    for (int32_t channel = 0; channel < window->channels; channel++) {
        for (int32_t y = 0; y < window->kernel_height; y++) {
            const uint8_t *from = rows[y] + channel * strides[y] + first;
            for (int32_t x = 0; x < window->kernel_width; x++, k++, from++) {
                int16_t *const place = tile + (k / 2) * 2 * RNP_TILE_PIXELS + k % 2;
                place[0] = from[0];
                place[2] = from[stride];
                place[4] = from[2 * stride];
                place[6] = from[3 * stride];
            }
        }
    }
    for (; k % 4 != 0; k++) {
        int16_t *const place = tile + (k / 2) * 2 * RNP_TILE_PIXELS + k % 2;
        place[0] = place[2] = place[4] = place[6] = 0;
    }
}
