/* Global average pooling, row by row. */
#ifndef RNP_MEAN_H
#define RNP_MEAN_H

#include "rnp.h"

/* byte = saturate(requantise(bias + sum over the map, multiplier)) */
typedef struct {
    int32_t bias;
    int32_t multiplier;
    int32_t channels;
    int32_t width;
} rnp_mean;

/* Before the first row. sums: int32_t [channels]. */
void rnp_mean_begin(const rnp_mean *layer, int32_t *sums);

/* Adds a planar row. */
void rnp_mean_row(const rnp_mean *layer, const uint8_t *row, int32_t channel_stride, int32_t *sums);

/* Writes one byte a channel, stride_out bytes apart. */
void rnp_mean_finish(const rnp_mean *layer, const int32_t *sums, uint8_t *out, int32_t stride_out);

#endif
