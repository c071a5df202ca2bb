/* A 1x1 convolution and the depthwise 3x3 of stride 2 behind it, without the rows between them.
 *
 * The depthwise convolution needs three rows of the wide tensor for each of its own, and two of them are new: so both
 * are computed together, some channels at a time, and only the lower one is kept for the next output row. */
#ifndef RNP_EXPAND_H
#define RNP_EXPAND_H

#include "rnp_conv.h"
#include "rnp_depthwise.h"

typedef struct {
    rnp_conv expand;         /* 1x1; channels_out, even, are those of the wide tensor */
    rnp_depthwise depthwise; /* stride 2 */
    int32_t group;           /* wide channels that are computed at a time, even */
} rnp_expand;

/* Bytes that live from row to row, and scratch bytes for the time of a call; both 4-byte aligned. */
size_t rnp_expand_state_size(const rnp_expand *layer);
size_t rnp_expand_buffer_size(const rnp_expand *layer);

/* Before the first row of an image. */
void rnp_expand_begin(const rnp_expand *layer, void *state);

/* Computes one output row.
 *
 * rows     the two input rows 2i and 2i + 1 of output row i; the second is NULL if it lies below the image
 * strides  their channel strides in bytes
 * out      planar, as rnp_depthwise_row writes it */
void rnp_expand_row(const rnp_expand *layer, void *state, const uint8_t *const rows[2], const int32_t strides[2],
                    uint8_t *out, void *buffer);

#endif
