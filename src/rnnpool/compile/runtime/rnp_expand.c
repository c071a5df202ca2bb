/* Wide rows by groups of channels. */
#include "rnp_expand.h"

#include <string.h>

/* Bytes before pixel 0 of a wide row: its padding, rounded up so that pixels stay aligned. */
static int32_t lead_bytes(const rnp_expand *layer) {
    return RNP_ROUND_UP_4(layer->expand.stride_out - layer->expand.width_out);
}

/* Bytes of `channels` wide channels with what lies before them. */
static int32_t wide_bytes(const rnp_expand *layer, int32_t channels) {
    return RNP_ROUND_UP_4(lead_bytes(layer) + channels * layer->expand.stride_out);
}

size_t rnp_expand_state_size(const rnp_expand *layer) {
    return (size_t)wide_bytes(layer, layer->expand.channels_out);
}

size_t rnp_expand_buffer_size(const rnp_expand *layer) {
    return rnp_conv_buffer_size(&layer->expand) + 2 * (size_t)wide_bytes(layer, layer->group);
}

void rnp_expand_begin(const rnp_expand *layer, void *state) {
    memset(state, layer->expand.zero_point_out, rnp_expand_state_size(layer));
}

void rnp_expand_row(const rnp_expand *layer, void *state, const uint8_t *const rows[2], const int32_t strides[2],
                    uint8_t *out, void *buffer) {
    const int32_t stride = layer->expand.stride_out;
    const int32_t words = (int32_t)RNP_POINTWISE_WORDS(layer->expand.window.channels, 2); /* of a pair of channels */
    uint8_t *const upper = (uint8_t *)buffer + rnp_conv_buffer_size(&layer->expand) + lead_bytes(layer);
    uint8_t *const lower = upper + wide_bytes(layer, layer->group);
    uint8_t *kept = (uint8_t *)state + lead_bytes(layer);
    rnp_conv expand = layer->expand;
    rnp_depthwise depthwise = layer->depthwise;
    for (int32_t left = layer->expand.channels_out; left > 0; left -= layer->group) {
        const uint8_t *const wide[3] = {kept, upper, lower};
        const int32_t wide_strides[3] = {stride, stride, stride};
        const int32_t done = layer->expand.channels_out - left;
        expand.channels_out = left < layer->group ? left : layer->group;
        rnp_conv_row(&expand, &rows[0], &strides[0], upper, buffer);
        if (rows[1] != NULL) {
            rnp_conv_row(&expand, &rows[1], &strides[1], lower, buffer);
        } else {
            memset(lower - lead_bytes(layer), expand.zero_point_out, (size_t)wide_bytes(layer, layer->group));
        }
        depthwise.channels = layer->depthwise.channels - done;
        if (depthwise.channels > expand.channels_out) {
            depthwise.channels = expand.channels_out;
        }
        rnp_depthwise_row(&depthwise, wide, wide_strides, out);
        memcpy(kept, lower, (size_t)(expand.channels_out * stride));
        kept += expand.channels_out * stride;
        out += expand.channels_out * depthwise.stride_out;
        expand.weights += expand.channels_out / 2 * words;
        depthwise.weights += RNP_DEPTHWISE_WORDS(expand.channels_out);
    }
}
