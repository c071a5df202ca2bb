/* The matrix product behind every dense convolution: 4 pixels of K channels times K x N weights.
 *
 * Weights: uint32_t words, for each pair of output channels (A, B) = (2i, 2i + 1), K / 2 + 4 of them:
 *   [0]            256 * bias A + bias B, modulo 2^32
 *   [1]            bias B
 *   [2 .. K/2 + 1] word j: 256 * wA + wB of channel 2j in the low halfword, of channel 2j + 1 in the high one
 *   [K/2 + 2]      multiplier A
 *   [K/2 + 3]      multiplier B
 * One word thus feeds both sums: its low bytes are B's weights, and the whole halfwords give 256 * A + B, from which A
 * comes at the end. Exact while |A| < 2^23; K, the tile's channels, is a multiple of 4, and N is even. */
#ifndef RNP_POINTWISE_H
#define RNP_POINTWISE_H

#include "rnp.h"

/* Words of packed weights. */
#define RNP_POINTWISE_WORDS(channels_in, channels_out) \
    ((size_t)((channels_out) / 2) * (size_t)(RNP_ROUND_UP_4(channels_in) / 2 + 4))

/* Weights of 4 bits, -7..7: the words 2 .. K/2 + 1 of each pair of outputs become half as many. To each of them
 * 0x07070707 is added, modulo 2^32, which makes its bytes 0..15; word 2j then takes the low halves of the bytes of packed
 * word j, and word 2j + 1 the high halves. Half the flash, and 1.2 times the time. */
#define RNP_POINTWISE_SEVENS UINT32_C(0x07070707)

/* Output to a planar row: 4 uint8_t pixels of each channel.
 *
 * tile            int16_t [K / 2][4][2]
 * channels_in     K, a multiple of 4 and at least 4
 * channels_out    N, even and at least 2
 * row             uint8_t: the first of the 4 pixels of channel 0
 * channel_stride  bytes */
void rnp_pointwise_row(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                       uint8_t *row, int32_t channel_stride);

/* Output to the next tile, as uint8_t values widened: int16_t [N / 2][4][2]. Where N is no multiple of 4 the caller
 * clears the last pair. */
void rnp_pointwise_tile(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                        int16_t *out);

/* Both with weights of 4 bits. */
void rnp_pointwise_row_4(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                         uint8_t *row, int32_t channel_stride);
void rnp_pointwise_tile_4(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                          int16_t *out);

/* Output as int16_t, saturated to 16 bits, pixel by pixel: out[pixel * pixel_stride + channel]; pixel_stride is even
 * and out is 4-byte aligned. */
void rnp_pointwise_i16(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                       int16_t *out, int32_t pixel_stride);

/* Adds to sums that wait: uint32_t sums[N / 2][2][4], for each pair of output channels 256 * A + B of the 4 pixels,
 * modulo 2^32, then B. Biases and multipliers in the weights are not used. */
void rnp_pointwise_sums(const int16_t *tile, const uint32_t *weights, int32_t channels_in, int32_t channels_out,
                        uint32_t *sums);

#endif
