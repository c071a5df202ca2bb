/* Inputs widened once, then two outputs at a time, from the words that rnp_pointwise.h describes. */
#include "rnp_dense.h"

size_t rnp_dense_buffer_size(const rnp_conv *conv) {
    return sizeof(int16_t) * (size_t)RNP_ROUND_UP_4(conv->window.channels);
}

/* The channels side by side, those in excess 0. */
static void widen(const uint8_t *row, int32_t channel_stride, int32_t channels, int16_t *inputs) {
    for (int32_t channel = 0; channel < channels; channel++) {
        *inputs++ = *row;
        row += channel_stride;
    }
    for (; channels % 4 != 0; channels++) {
        *inputs++ = 0;
    }
}

#if RNP_USE_M4_DSP

#define CHUNK                          \
    "ldrd   r2, r3, [%[x]], #8\n\t"    \
    "ldrd   r12, lr, [%[w]], #8\n\t"   \
    "smlad  %[a], r2, r12, %[a]\n\t"   \
    "sxtb16 r12, r12\n\t"              \
    "smlad  %[b], r2, r12, %[b]\n\t"   \
    "smlad  %[a], r3, lr, %[a]\n\t"    \
    "sxtb16 lr, lr\n\t"                \
    "smlad  %[b], r3, lr, %[b]\n\t"

/* Two outputs, requantised: 8 instructions for each 8 multiply-adds. Returns what lies behind their words. */
static const uint32_t *multiply_pair(const int16_t *x, const uint32_t *w, int32_t channels, int32_t results[2]) {
    int32_t a = (int32_t)w[0], b = (int32_t)w[1];
    const int16_t *const end = x + channels, *const even = x + (channels & ~15);
    w += 2;
    while (x != even) {
        __asm(CHUNK CHUNK CHUNK CHUNK : [x] "+r"(x), [w] "+r"(w), [a] "+r"(a), [b] "+r"(b) : : "r2", "r3", "r12", "lr", "memory");
    }
    while (x != end) {
        __asm(CHUNK : [x] "+r"(x), [w] "+r"(w), [a] "+r"(a), [b] "+r"(b) : : "r2", "r3", "r12", "lr", "memory");
    }
    a = (int32_t)((uint32_t)a - (uint32_t)b) >> 8; /* the words' upper bytes: rnp_pointwise.h */
    results[0] = rnp_requantise(a, (int32_t)w[0]);
    results[1] = rnp_requantise(b, (int32_t)w[1]);
    return w + 2;
}

#else

static const uint32_t *multiply_pair(const int16_t *x, const uint32_t *w, int32_t channels, int32_t results[2]) {
    int32_t a = (int32_t)(w[0] - w[1]) >> 8, b = (int32_t)w[1];
    w += 2;
    for (int32_t channel = 0; channel < channels; channel++) {
        const int32_t both = (int16_t)(channel % 2 != 0 ? *w++ >> 16 : *w & 0xFFFFu);
        const int32_t weight_b = (int8_t)(both & 0xFF);
        a += (both - weight_b) / 256 * x[channel];
        b += weight_b * x[channel];
    }
    results[0] = rnp_requantise(a, (int32_t)w[0]);
    results[1] = rnp_requantise(b, (int32_t)w[1]);
    return w + 2;
}

#endif

void rnp_dense_row(const rnp_conv *conv, const uint8_t *row, int32_t channel_stride, uint8_t *out, void *buffer) {
    const uint32_t *weights = conv->weights;
    uint8_t *place = out;
    int32_t results[2];
    widen(row, channel_stride, conv->window.channels, buffer);
    for (int32_t channel = 0; channel < conv->channels_out; channel += 2) {
        weights = multiply_pair(buffer, weights, RNP_ROUND_UP_4(conv->window.channels), results);
        place[0] = rnp_saturate_u8(results[0]);
        place[conv->stride_out] = rnp_saturate_u8(results[1]);
        place += 2 * conv->stride_out;
    }
    rnp_pad_row(out, conv->stride_out, conv->channels_out, 1, conv->zero_point_out);
}

void rnp_dense_row_i16(const rnp_conv *conv, const uint8_t *row, int32_t channel_stride, int16_t *out, void *buffer) {
    const uint32_t *weights = conv->weights;
    int32_t results[2];
    widen(row, channel_stride, conv->window.channels, buffer);
    for (int32_t channel = 0; channel < conv->channels_out; channel += 2) {
        weights = multiply_pair(buffer, weights, RNP_ROUND_UP_4(conv->window.channels), results);
        *out++ = rnp_saturate_i16(results[0]);
        *out++ = rnp_saturate_i16(results[1]);
    }
}
