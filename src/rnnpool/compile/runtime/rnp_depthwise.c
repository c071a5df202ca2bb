/* Depthwise rows: the portable loop, and the call into rnp_depthwise_m4.S. */
#include "rnp_depthwise.h"

#if RNP_USE_M4_DSP

/* What the assembly takes; it counts the fields along as it goes through the channels. */
typedef struct {
    const uint8_t *rows[3];
    int32_t strides[3];
    uint8_t *out;
    int32_t stride_out;
    const uint32_t *weights;
    int32_t channels;
    int32_t row_bytes; /* of input that the tiles of a row advance over */
} arguments;

void rnp_depthwise_stride1_m4(arguments *a);
void rnp_depthwise_stride2_m4(arguments *a);

void rnp_depthwise_row(const rnp_depthwise *layer, const uint8_t *const rows[3], const int32_t strides[3], uint8_t *out) {
    arguments a = {
        {rows[0], rows[1], rows[2]},
        {strides[0], strides[1], strides[2]},
        out,
        layer->stride_out,
        layer->weights,
        layer->channels,
        layer->stride * RNP_ROUND_UP_4(layer->width_out),
    };
    if (layer->stride == 1) {
        rnp_depthwise_stride1_m4(&a);
    } else {
        rnp_depthwise_stride2_m4(&a);
    }
    if (layer->padded) {
        rnp_pad_row(out, layer->stride_out, layer->channels, layer->width_out, layer->zero_point_out);
    }
}

#else

void rnp_depthwise_row(const rnp_depthwise *layer, const uint8_t *const rows[3], const int32_t strides[3], uint8_t *out) {
    const uint32_t *weights = layer->weights;
    for (int32_t channel = 0; channel < layer->channels; channel++) {
        const uint32_t bytes = weights[1] >> 24 << 16 | weights[2] >> 24 << 8;
        const int32_t multiplier = (int32_t)((weights[0] & UINT32_C(0xFF000000)) | bytes);
        for (int32_t x = 0; x < layer->width_out; x++) {
            int32_t sum = (int32_t)weights[3];
            for (int32_t y = 0; y < 3; y++) {
                const uint8_t *const from = rows[y] + channel * strides[y] + x * layer->stride - 1;
                sum += (int8_t)(weights[y] & 0xFFu) * from[0];
                sum += (int8_t)((weights[y] >> 8) & 0xFFu) * from[1];
                sum += (int8_t)((weights[y] >> 16) & 0xFFu) * from[2];
            }
            out[x] = rnp_saturate_u8(rnp_requantise(sum, multiplier));
        }
        weights += 4;
        out += layer->stride_out;
    }
    if (layer->padded) {
        out -= layer->channels * layer->stride_out;
        rnp_pad_row(out, layer->stride_out, layer->channels, layer->width_out, layer->zero_point_out);
    }
}

#endif
