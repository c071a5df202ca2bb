/* Lengths by an integer square root, one division a pixel. */
#include "rnp_l2norm.h"

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
        const uint32_t length = square_root((uint32_t)(sum < 1 ? 1 : sum) << 8);
        const int32_t factor = (int32_t)(layer->numerator / length);
        from = row + x;
        for (int32_t channel = 0; channel < layer->channels; channel++) {
            /* 16 * |centred| <= length, so that the product stays below numerator / 16. */
            const int32_t centred = *from - zero_in;
            *to = rnp_saturate_u8(zero_out + ((centred * factor + 32768) >> 16));
            from += channel_stride;
            to += stride_out;
        }
    }
    rnp_pad_row(out, stride_out, layer->channels, layer->width, (uint8_t)zero_out);
}
