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
        out[0] = rnp_low_halves(a02, b02);
        out[1] = rnp_low_halves(a13, b13);
        out[2] = rnp_high_halves(a02, b02);
        out[3] = rnp_high_halves(a13, b13);
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

#if RNP_USE_M4_DSP
/* 4 pixels of one tap of the kernel, in two words. */
typedef struct {
    uint32_t a;
    uint32_t b;
} quad;

/* 3 neighbouring taps. Of stride 1 a quad holds the pixels (0, 2) and (1, 3), of stride 2 (0, 1) and (2, 3). */
static inline void load_taps(const uint8_t *from, int32_t stride, quad taps[3]) {
    if (stride == 1) {
        for (int32_t x = 0; x < 3; x++) {
            const uint32_t word = load_word(from + x);
            taps[x].a = rnp_even_bytes(word);
            taps[x].b = rnp_odd_bytes(word);
        }
    } else {
        const uint32_t left = load_word(from), right = load_word(from + 4);
        taps[0].a = rnp_even_bytes(left);
        taps[0].b = rnp_even_bytes(right);
        taps[1].a = rnp_odd_bytes(left);
        taps[1].b = rnp_odd_bytes(right);
        taps[2].a = rnp_even_bytes(load_word(from + 2));
        taps[2].b = rnp_odd_bytes(load_word(from + 5)); /* nothing behind the last window is read */
    }
}

/* Two taps, side by side. */
static inline uint32_t *store_pair(uint32_t *out, int32_t stride, quad even, quad odd) {
    const uint32_t high = rnp_high_halves(even.a, odd.a), low = rnp_low_halves(even.b, odd.b);
    out[0] = rnp_low_halves(even.a, odd.a);
    out[1] = stride == 1 ? low : high;
    out[2] = stride == 1 ? high : low;
    out[3] = rnp_high_halves(even.b, odd.b);
    return out + 4;
}

/* Kernels 3 wide: a row of theirs is one and a half pairs of taps, so every other row begins with the last one's rest.
 * Inlined, so that each stride has a loop of its own. */
__attribute__((always_inline)) static inline void gather_threes(const rnp_window *window, const uint8_t *const *rows, const int32_t *strides,
                                 int32_t first, int32_t stride, int16_t *tile) {
    const quad none = {0, 0};
    quad taps[3], rest = none;
    uint32_t *out = (uint32_t *)(void *)tile;
    int32_t odd = 0;
    for (int32_t channel = 0; channel < window->channels; channel++) {
        for (int32_t y = 0; y < window->kernel_height; y++) {
            load_taps(rows[y] + channel * strides[y] + first, stride, taps);
            if (odd) {
                out = store_pair(out, stride, rest, taps[0]);
                out = store_pair(out, stride, taps[1], taps[2]);
            } else {
                out = store_pair(out, stride, taps[0], taps[1]);
                rest = taps[2];
            }
            odd = !odd;
        }
    }
    if (odd) {
        out = store_pair(out, stride, rest, none);
    }
    if ((3 * window->channels * window->kernel_height + 1) / 2 % 2 != 0) {
        (void)store_pair(out, stride, none, none);
    }
}
#endif

void rnp_window_tile(const rnp_window *window, const uint8_t *const *rows, const int32_t *strides, int32_t column,
                     int16_t *tile) {
    const int32_t stride = window->stride, first = column * stride - window->padding;
#if RNP_USE_M4_DSP
    if (window->kernel_width == 3 && stride == 1) {
        gather_threes(window, rows, strides, first, 1, tile);
        return;
    }
    if (window->kernel_width == 3 && stride == 2) {
        gather_threes(window, rows, strides, first, 2, tile);
        return;
    }
#endif
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
