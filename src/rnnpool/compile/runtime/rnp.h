/* Formats and arithmetic shared by every kernel of the rnnpool runtime.
 *
 * The Python package's rnnpool.integer is the specification of what these kernels compute; they agree bit for bit, in
 * portable C and in the Cortex-M4 assembly that replaces the innermost loops where RNP_USE_M4_DSP is 1.
 *
 * Numbers
 *   activation  uint8_t; real = scale * (q - zero_point), one scale and zero point a tensor. (TFLite's int8 plus 128:
 *               unsigned, since a camera's bytes are, ReLU's zero point then is 0, and USAT16 packs it.)
 *   weight      int8_t in -127..127, symmetric, one scale an output channel.
 *   accumulator int32_t = bias + sum of weight * q. The bias holds everything constant: the layer's own bias, the
 *               correction for the input's zero point and the output's zero point.
 *   multiplier  int32_t m = round(M * 2^32), |M| < 0.5. The one rounding of a layer is rnp_requantise(accumulator, m),
 *               Cortex-M4's SMMULR. Its result has to fit int16_t before it is saturated (checked when weights are
 *               packed), so that two of them travel in a register.
 *   state       int16_t Q15 of a recurrent network, -32767..32767.
 *
 * Rows. A map is handled by rows, planar: pixel x of channel c is row[c * channel_stride + x]. Rows that a 3x3 reads
 * hold the zero point in the channel_stride - w bytes after each channel's last pixel, and in as many before the first
 * channel; rows that lie one after the other share it. A channel_stride is at least w rounded up to a multiple of 4, since
 * kernels write 4 pixels at a time before they put the zero point back. It need not be a multiple of 4: an odd one costs
 * a cycle for most words of pixels (cores with the DSP extension load and store words anywhere), but the least memory.
 *
 * Tiles. 4 neighbouring pixels, widened for the multiplier: int16_t tile[K / 2][4][2], K channels (a multiple of 4,
 * the excess 0), the pair (2j, 2j + 1) of each pixel side by side. 4-byte aligned. */
#ifndef RNP_H
#define RNP_H

#include "rnp_config.h"

#include <stddef.h>
#include <stdint.h>

#define RNP_TILE_PIXELS 4

/* The next multiple of 4. */
#define RNP_ROUND_UP_4(n) (((n) + 3) & ~3)

/* Bytes of a tile of `channels`. */
#define RNP_TILE_BYTES(channels) (RNP_ROUND_UP_4(channels) * RNP_TILE_PIXELS * 2)

/* round(accumulator * m / 2^32), halves upwards: the only rounding a layer does (SMMULR). */
static inline int32_t rnp_requantise(int32_t accumulator, int32_t multiplier) {
#if RNP_USE_M4_DSP
    int32_t result;
    __asm("smmulr %0, %1, %2" : "=r"(result) : "r"(accumulator), "r"(multiplier));
    return result;
#else
    /* An arithmetic shift: every compiler for the targets of this runtime does it. */
    return (int32_t)(((int64_t)accumulator * multiplier + INT64_C(0x80000000)) >> 32);
#endif
}

static inline uint8_t rnp_saturate_u8(int32_t value) {
#if RNP_USE_M4_DSP
    __asm("usat %0, #8, %0" : "+r"(value));
    return (uint8_t)value;
#else
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
#endif
}

static inline int16_t rnp_saturate_i16(int32_t value) {
    return (int16_t)(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
}

#if RNP_USE_M4_DSP
/* Bytes 0 and 2 as two halfwords, and bytes 1 and 3. */
static inline uint32_t rnp_even_bytes(uint32_t word) {
    uint32_t pair;
    __asm("uxtb16 %0, %1" : "=r"(pair) : "r"(word));
    return pair;
}

static inline uint32_t rnp_odd_bytes(uint32_t word) {
    uint32_t pair;
    __asm("uxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
    return pair;
}

/* The low halfwords of two words, and the high ones; the first word's below. */
static inline uint32_t rnp_low_halves(uint32_t a, uint32_t b) {
    uint32_t pair;
    __asm("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(a), "r"(b));
    return pair;
}

static inline uint32_t rnp_high_halves(uint32_t a, uint32_t b) {
    uint32_t pair;
    __asm("pkhtb %0, %2, %1, asr #16" : "=r"(pair) : "r"(a), "r"(b));
    return pair;
}
#endif

/* Puts the zero point into the channel_stride - width bytes behind each channel of a row, and into as many before it. */
void rnp_pad_row(uint8_t *row, int32_t channel_stride, int32_t channels, int32_t width, uint8_t zero_point);

#endif
