/* 1x1 convolutions with weights of 4 bits: half the flash where few pixels make the time to unpack them cheap.
 *
 * Weights: as in rnp_pointwise.h, but for -8..7 and with the words of two pairs of channels in one:
 *   [0]            256 * bias A + bias B, modulo 2^32
 *   [1]            bias B
 *   [2 .. K/4 + 1] word j: each byte holds, plus 8, two weights: in its low half that byte of rnp_pointwise.h's word 2j
 *                  (B, A of the first channel, B, A of the second), in its high half that of word 2j + 1
 *   [K/4 + 2]      multiplier A
 *   [K/4 + 3]      multiplier B
 * They are unpacked for a pair of output channels at a time, into scratch memory, and go to rnp_pointwise. */
#ifndef RNP_NIBBLES_H
#define RNP_NIBBLES_H

#include "rnp_conv.h"
#include "rnp_pair.h"

/* Words of packed weights. */
#define RNP_NIBBLES_WORDS(channels_in, channels_out) \
    ((size_t)((channels_out) / 2) * (size_t)(RNP_ROUND_UP_4(channels_in) / 4 + 4))

/* Bytes of scratch memory, 8-byte aligned. */
size_t rnp_nibbles_conv_buffer_size(const rnp_conv *conv);
size_t rnp_nibbles_pair_buffer_size(const rnp_pair *pair);

/* As rnp_conv_row, of a 1x1 convolution with stride 1: row is its input. */
void rnp_nibbles_conv_row(const rnp_conv *conv, const uint8_t *row, int32_t channel_stride, uint8_t *out, void *buffer);

/* As rnp_pair_row, both convolutions' weights of 4 bits. */
void rnp_nibbles_pair_row(const rnp_pair *pair, const uint8_t *row, int32_t channel_stride, uint8_t *out, void *buffer);

#endif
