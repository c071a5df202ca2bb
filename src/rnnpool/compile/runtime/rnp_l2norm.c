/* Lengths by an integer square root, one division a pixel; 4 pixels at a time where the core has packed halfwords. */
#include "rnp_l2norm.h"

#include <string.h>

/* floor(sqrt(value)), digit by digit. */
static uint32_t square_root(uint32_t value) {
    uint32_t root = 0, bit = UINT32_C(1) << 30;
    while (bit > value) {
        bit >>= 2;
    }
    while (bit != 0) {
        if (value >= root + bit) {
            value -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
        bit >>= 2;
    }
    return root;
}

/* What centred bytes are multiplied by, 16 bits behind the point; `sum` is that of their squares. */
static int32_t find_factor(const rnp_l2norm *layer, int32_t sum) {
    return (int32_t)(layer->numerator / square_root((uint32_t)(sum < 1 ? 1 : sum) << 8));
}

/* 16 * |centred| <= length, so that centred * factor stays below numerator / 16: 2^28, and 2^12 when rounded. */

#if RNP_USE_M4_DSP

static uint32_t subtract_pairs(uint32_t a, uint32_t b) {
    uint32_t difference;
    __asm("ssub16 %0, %1, %2" : "=r"(difference) : "r"(a), "r"(b));
    return difference;
}

/* sum + the square of the low halfword, of the high one. */
static int32_t add_low_square(uint32_t pair, int32_t sum) {
    __asm("smlabb %0, %1, %1, %0" : "+r"(sum) : "r"(pair));
    return sum;
}

static int32_t add_high_square(uint32_t pair, int32_t sum) {
    __asm("smlatt %0, %1, %1, %0" : "+r"(sum) : "r"(pair));
    return sum;
}

/* Two centred bytes times their factors, rounded: (centred * factor + 2^15) >> 16. */
static uint32_t scale_pair(uint32_t centred, int32_t low, int32_t high) {
    const int32_t a = rnp_requantise((int32_t)(centred << 16), low);
    const int32_t b = rnp_requantise((int32_t)(centred & 0xFFFF0000u), high);
    return rnp_low_halves((uint32_t)a, (uint32_t)b);
}

static uint32_t add_and_saturate_pairs(uint32_t a, uint32_t b) {
    uint32_t sum;
    __asm("sadd16 %0, %1, %2\n\tusat16 %0, #8, %0" : "=r"(sum) : "r"(a), "r"(b));
    return sum;
}

void rnp_l2norm_row(const rnp_l2norm *layer, const uint8_t *row, int32_t channel_stride, uint8_t *out) {
    const uint32_t both = UINT32_C(0x00010001);
    const uint32_t zero_in = (uint32_t)layer->zero_in * both, zero_out = (uint32_t)layer->zero_out * both;
    const int32_t channels = layer->channels, stride_out = layer->stride_out;
    for (int32_t x = 0; x < layer->width; x += 4) {
        const uint8_t *from = row + x;
        uint8_t *to = out + x;
        int32_t s0 = layer->bias, s1 = s0, s2 = s0, s3 = s0;
        for (int32_t channel = 0; channel < channels; channel++) {
            uint32_t word;
            memcpy(&word, from, 4);
            const uint32_t even = subtract_pairs(rnp_even_bytes(word), zero_in);
            const uint32_t odd = subtract_pairs(rnp_odd_bytes(word), zero_in);
            s0 = add_low_square(even, s0);
            s2 = add_high_square(even, s2);
            s1 = add_low_square(odd, s1);
            s3 = add_high_square(odd, s3);
            from += channel_stride;
        }
        const int32_t f0 = find_factor(layer, s0), f1 = find_factor(layer, s1);
        const int32_t f2 = find_factor(layer, s2), f3 = find_factor(layer, s3);
        from = row + x;
        for (int32_t channel = 0; channel < channels; channel++) {
            uint32_t word;
            memcpy(&word, from, 4);
            const uint32_t even = scale_pair(subtract_pairs(rnp_even_bytes(word), zero_in), f0, f2);
            const uint32_t odd = scale_pair(subtract_pairs(rnp_odd_bytes(word), zero_in), f1, f3);
            word = add_and_saturate_pairs(even, zero_out) | add_and_saturate_pairs(odd, zero_out) << 8;
            memcpy(to, &word, 4);
            from += channel_stride;
            to += stride_out;
        }
    }
    rnp_pad_row(out, stride_out, channels, layer->width, (uint8_t)layer->zero_out);
}

#else

void rnp_l2norm_row(const rnp_l2norm *layer, const uint8_t *row, int32_t channel_stride, uint8_t *out) {
    const int32_t zero_in = layer->zero_in, zero_out = layer->zero_out, stride_out = layer->stride_out;
    for (int32_t x = 0; x < layer->width; x++) {
        const uint8_t *from = row + x;
        uint8_t *to = out + x;
        int32_t sum = layer->bias;
        for (int32_t channel = 0; channel < layer->channels; channel++) {
            const int32_t centred = *from - zero_in;
            sum += centred * centred;
            from += channel_stride;
        }
        const int32_t factor = find_factor(layer, sum);
        from = row + x;
        for (int32_t channel = 0; channel < layer->channels; channel++) {
            const int32_t centred = *from - zero_in;
            *to = rnp_saturate_u8(zero_out + ((centred * factor + 32768) >> 16));
            from += channel_stride;
            to += stride_out;
        }
    }
    rnp_pad_row(out, stride_out, layer->channels, layer->width, (uint8_t)zero_out);
}

#endif
