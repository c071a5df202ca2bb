/* Sums of rows; the mean is a rescaling of the whole sum. */
#include "rnp_mean.h"

void rnp_mean_begin(const rnp_mean *layer, int32_t *sums) {
    for (int32_t channel = 0; channel < layer->channels; channel++) {
        sums[channel] = layer->bias;
    }
}

void rnp_mean_row(const rnp_mean *layer, const uint8_t *row, int32_t channel_stride, int32_t *sums) {
    for (int32_t channel = 0; channel < layer->channels; channel++) {
        int32_t sum = 0;
        for (int32_t x = 0; x < layer->width; x++) {
            sum += row[x];
        }
        sums[channel] += sum;
        row += channel_stride;
    }
}

void rnp_mean_finish(const rnp_mean *layer, const int32_t *sums, uint8_t *out, int32_t stride_out) {
    for (int32_t channel = 0; channel < layer->channels; channel++) {
        out[channel * stride_out] = rnp_saturate_u8(rnp_requantise(sums[channel], layer->multiplier));
    }
}
