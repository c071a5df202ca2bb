/* Portable twin of rnp_pointwise_m4.S. */
#include "rnp_pointwise.h"

#if !RNP_USE_M4_DSP

#if RNP_USE_SSE2 || RNP_USE_SIMD128
#include "rnp_pointwise_vector.h"
#else

/* The word of a channel pair, and the pointer moved on: `bits` is 8, or 4 where two share one. */
static uint32_t next_word(const uint32_t **weights, int32_t channel, int32_t bits) {
    if (bits == 8) {
        return *(*weights)++;
    }
    const int32_t high = channel % 4 != 0;
    const uint32_t packed = high ? *(*weights)++ >> 4 : **weights;
    return (packed & UINT32_C(0x0F0F0F0F)) - RNP_POINTWISE_SEVENS;
}

/* The accumulators of one pair of channels for 4 pixels; returns where its multipliers are. */
static const uint32_t *accumulate_pair(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t bits,
                                       int32_t a[RNP_TILE_PIXELS], int32_t b[RNP_TILE_PIXELS]) {
    const int32_t bias_b = (int32_t)weights[1];
    const int32_t bias_a = (int32_t)(weights[0] - weights[1]) >> 8;
    for (int32_t pixel = 0; pixel < RNP_TILE_PIXELS; pixel++) {
        a[pixel] = bias_a;
        b[pixel] = bias_b;
    }
    weights += 2;
    for (int32_t channel = 0; channel < channels_in; channel += 2) {
        const uint32_t word = next_word(&weights, channel, bits);
        const int32_t low = (int16_t)(word & 0xFFFFu), high = (int16_t)(word >> 16);
        const int32_t b0 = (int8_t)(word & 0xFFu), b1 = (int8_t)((word >> 16) & 0xFFu);
        const int32_t a0 = (low - b0) / 256, a1 = (high - b1) / 256;
        for (int32_t pixel = 0; pixel < RNP_TILE_PIXELS; pixel++) {
            a[pixel] += a0 * tile[2 * pixel] + a1 * tile[2 * pixel + 1];
            b[pixel] += b0 * tile[2 * pixel] + b1 * tile[2 * pixel + 1];
        }
        tile += 2 * RNP_TILE_PIXELS;
    }
    return weights;
}

#endif

/* The results of one pair of channels for 4 pixels: results[0] of A, results[1] of B. */
static inline const uint32_t *multiply_pair(const int16_t *tile, const uint32_t *weights, int32_t channels_in,
                                            int32_t bits, int32_t results[2][RNP_TILE_PIXELS]) {
    weights = accumulate_pair(tile, weights, channels_in, bits, results[0], results[1]);
    for (int32_t pixel = 0; pixel < RNP_TILE_PIXELS; pixel++) {
        results[0][pixel] = rnp_requantise(results[0][pixel], (int32_t)weights[0]);
        results[1][pixel] = rnp_requantise(results[1][pixel], (int32_t)weights[1]);
    }
    return weights + 2;
}

static void multiply_row(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                         int32_t bits, uint8_t *row, int32_t channel_stride) {
    int32_t results[2][RNP_TILE_PIXELS];
    for (int32_t channel = 0; channel < channels_out; channel += 2) {
        weights = multiply_pair(tile, weights, channels_in, bits, results);
        for (int32_t pixel = 0; pixel < RNP_TILE_PIXELS; pixel++) {
            row[pixel] = rnp_saturate_u8(results[0][pixel]);
            row[channel_stride + pixel] = rnp_saturate_u8(results[1][pixel]);
        }
        row += 2 * channel_stride;
    }
}

static void multiply_tile(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                          int32_t bits, int16_t *out) {
    int32_t results[2][RNP_TILE_PIXELS];
    for (int32_t channel = 0; channel < channels_out; channel += 2) {
        weights = multiply_pair(tile, weights, channels_in, bits, results);
        for (int32_t pixel = 0; pixel < RNP_TILE_PIXELS; pixel++) {
            *out++ = rnp_saturate_u8(results[0][pixel]);
            *out++ = rnp_saturate_u8(results[1][pixel]);
        }
    }
}

void rnp_pointwise_row(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                       uint8_t *row, int32_t channel_stride) {
    multiply_row(tile, weights, channels_in, channels_out, 8, row, channel_stride);
}

void rnp_pointwise_row_4(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                         uint8_t *row, int32_t channel_stride) {
    multiply_row(tile, weights, channels_in, channels_out, 4, row, channel_stride);
}

void rnp_pointwise_tile(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                        int16_t *out) {
    multiply_tile(tile, weights, channels_in, channels_out, 8, out);
}

void rnp_pointwise_tile_4(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                          int16_t *out) {
    multiply_tile(tile, weights, channels_in, channels_out, 4, out);
}

void rnp_pointwise_i16(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                       int16_t *out, int32_t pixel_stride) {
    int32_t results[2][RNP_TILE_PIXELS];
    for (int32_t channel = 0; channel < channels_out; channel += 2) {
        weights = multiply_pair(tile, weights, channels_in, 8, results);
        for (int32_t pixel = 0; pixel < RNP_TILE_PIXELS; pixel++) {
            out[pixel * pixel_stride + channel] = rnp_saturate_i16(results[0][pixel]);
            out[pixel * pixel_stride + channel + 1] = rnp_saturate_i16(results[1][pixel]);
        }
    }
}

void rnp_pointwise_sums(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                        uint32_t *sums) {
    for (int32_t pair = 0; pair < channels_out / 2; pair++) {
        weights += 2;
        for (int32_t channel = 0; channel < channels_in; channel += 2) {
            const uint32_t word = *weights++;
            const int32_t both0 = (int16_t)(word & 0xFFFFu), both1 = (int16_t)(word >> 16);
            const int32_t b0 = (int8_t)(word & 0xFFu), b1 = (int8_t)((word >> 16) & 0xFFu);
            for (int32_t pixel = 0; pixel < RNP_TILE_PIXELS; pixel++) {
                const int16_t *const x = tile + channel * RNP_TILE_PIXELS + 2 * pixel;
                sums[pixel] += (uint32_t)(both0 * x[0] + both1 * x[1]);
                sums[RNP_TILE_PIXELS + pixel] += (uint32_t)(b0 * x[0] + b1 * x[1]);
            }
        }
        weights += 2;
        sums += 2 * RNP_TILE_PIXELS;
    }
}

#else
typedef int rnp_pointwise_is_in_assembly; /* C99 wants a declaration in every file */
#endif
