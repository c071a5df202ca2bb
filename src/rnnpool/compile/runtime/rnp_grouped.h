/* Dense convolutions in groups: the output channels of a group read the input channels of the same group only. */
#ifndef RNP_GROUPED_H
#define RNP_GROUPED_H

#include "rnp_conv.h"

typedef struct {
    rnp_conv group; /* the first one; window.channels and channels_out are a group's, the others' weights follow its own */
    int32_t groups;
} rnp_grouped;

/* Bytes of scratch memory, 4-byte aligned: a group's. */
size_t rnp_grouped_buffer_size(const rnp_grouped *layer);

/* As rnp_conv_row and rnp_conv_row_i16; `rows` is left behind the last channel. */
void rnp_grouped_row(const rnp_grouped *layer, const uint8_t **rows, const int32_t *strides, uint8_t *out, void *buffer);
void rnp_grouped_row_i16(const rnp_grouped *layer, const uint8_t **rows, const int32_t *strides, int16_t *out,
                         void *buffer);

#endif
