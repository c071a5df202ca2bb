/* 1x1 convolutions with weights of 4 bits (rnp_pointwise.h), for layers with many weights and few pixels. */
#ifndef RNP_NIBBLES_H
#define RNP_NIBBLES_H

#include "rnp_conv.h"
#include "rnp_pair.h"

/* As rnp_conv_row of a 1x1 convolution with stride 1, from one row of its input; scratch memory as there. */
void rnp_nibbles_conv_row(const rnp_conv *conv, const uint8_t *row, int32_t channel_stride, uint8_t *out, void *buffer);

/* As rnp_pair_row, both convolutions' weights of 4 bits; scratch memory as there. */
void rnp_nibbles_pair_row(const rnp_pair *pair, const uint8_t *row, int32_t channel_stride, uint8_t *out, void *buffer);

#endif
