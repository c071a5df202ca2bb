/* Sums of rows: 4 pixels at a time where the core has packed bytes. */
#include "rnp_add.h"

#include <string.h>

#if RNP_USE_M4_DSP

static uint32_t saturate_pair(int32_t low, int32_t high) {
    uint32_t pair;
    __asm("pkhbt %0, %1, %2, lsl #16\n\tusat16 %0, #8, %0" : "=&r"(pair) : "r"(low), "r"(high));
    return pair;
}

static int32_t add_pixel(const rnp_add *layer, uint32_t a, uint32_t b) {
    const int32_t sum = layer->bias + layer->factor_a * (int32_t)a + layer->factor_b * (int32_t)b;
    return rnp_requantise(sum, layer->multiplier);
}

void rnp_add_row(const rnp_add *layer, const uint8_t *a, int32_t stride_a, const uint8_t *b, int32_t stride_b,
                 uint8_t *out, int32_t stride_out) {
    const rnp_add copy = *layer; /* in registers, since stores to bytes might change *layer */
    uint8_t *const first = out;
    for (int32_t channel = 0; channel < copy.channels; channel++) {
        for (int32_t x = 0; x < copy.width; x += 4) {
            uint32_t left, right = 0, sum;
            memcpy(&left, a + x, 4);
            if (copy.upsample) {
                right = b[x / 2] * UINT32_C(0x0101) | (uint32_t)b[x / 2 + 1] * UINT32_C(0x01010000);
            } else {
                memcpy(&right, b + x, 4);
            }
            const int32_t s0 = add_pixel(&copy, left & 0xFFu, right & 0xFFu);
            const int32_t s1 = add_pixel(&copy, (left >> 8) & 0xFFu, (right >> 8) & 0xFFu);
            const int32_t s2 = add_pixel(&copy, (left >> 16) & 0xFFu, (right >> 16) & 0xFFu);
            const int32_t s3 = add_pixel(&copy, left >> 24, right >> 24);
            sum = saturate_pair(s0, s2) | saturate_pair(s1, s3) << 8;
            memcpy(out + x, &sum, 4);
        }
        a += stride_a;
        b += stride_b;
        out += stride_out;
    }
    rnp_pad_row(first, stride_out, copy.channels, copy.width, copy.zero_point_out);
}

#else

void rnp_add_row(const rnp_add *layer, const uint8_t *a, int32_t stride_a, const uint8_t *b, int32_t stride_b,
                 uint8_t *out, int32_t stride_out) {
    for (int32_t channel = 0; channel < layer->channels; channel++) {
        for (int32_t x = 0; x < layer->width; x++) {
            const int32_t left = a[channel * stride_a + x], right = b[channel * stride_b + (layer->upsample ? x / 2 : x)];
            const int32_t sum = layer->bias + layer->factor_a * left + layer->factor_b * right;
            out[channel * stride_out + x] = rnp_saturate_u8(rnp_requantise(sum, layer->multiplier));
        }
    }
    rnp_pad_row(out, stride_out, layer->channels, layer->width, layer->zero_point_out);
}

#endif
