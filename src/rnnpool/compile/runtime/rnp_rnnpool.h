/* RNNPool, streamed: input rows go in one by one, and an output row is ready whenever a row of windows is complete.
 *
 * Saha et al., "RNNPool: Efficient Non-linear Pooling for RAM Constrained Inference", NeurIPS 2020, Algorithm 1. What
 * windows share is computed once: W x a pixel; the sweep of a row, for all windows that contain the row; the sweep of
 * a column likewise; W of a summary. Kept from row to row: the row summaries of kernel_height rows, already projected
 * for RNN2, and the states of the column sweeps of every row of windows that is open; in 16 bits each, or in 8
 * (rnp_narrow.h), which takes half the memory and a few percent more time. */
#ifndef RNP_RNNPOOL_H
#define RNP_RNNPOOL_H

#include "rnp_fastgrnn.h"

typedef struct {
    int32_t channels;
    int32_t windows;       /* output pixels of a row */
    int32_t window_rows;   /* output rows */
    int32_t kernel_height; /* at least the stride */
    int32_t kernel_width;  /* at least the stride */
    int32_t stride_height;
    int32_t stride_width;
    int32_t padding_width;         /* zero points that rows hold on either side */
    int32_t narrow;                /* 1: what is kept from row to row is kept in 8 bits; 0: in 16 */
    const uint32_t *input_weights; /* rnp_pointwise.h: W of RNN1, int16_t output of rnn1.units channels */
    rnp_fastgrnn rnn1;
    rnp_projection project; /* W of RNN2 */
    rnp_fastgrnn rnn2;
    int32_t hidden2;        /* RNN2's units without those that round up; the output has 4 * hidden2 channels */
    const int32_t *scales;  /* [4 * hidden2][2]: bias, multiplier; byte = saturate(requantise(state + bias, m)) */
    int32_t stride_out;     /* channel stride of the output row, bytes */
    uint8_t zero_point_out; /* for the padding behind the output row */
} rnp_rnnpool;

/* Bytes that live from the first row to the last; those that live from a row to the next that gives an output row, but
 * not from there to the one after; and scratch bytes for the time of a call. All 4-byte aligned. */
size_t rnp_rnnpool_state_size(const rnp_rnnpool *layer);
size_t rnp_rnnpool_open_size(const rnp_rnnpool *layer);
size_t rnp_rnnpool_buffer_size(const rnp_rnnpool *layer);

/* Before the first row of an image. */
void rnp_rnnpool_begin(const rnp_rnnpool *layer, void *state);

/* Takes the next input row; rows of vertical padding are pushed like any other (channel_stride 0 lets one row of zero
 * points stand for all channels). Only while no output row is ready.
 *
 * row    planar uint8_t; pixels -padding_width .. are read, up to the last that a window covers, rounded up to 4 */
void rnp_rnnpool_push(const rnp_rnnpool *layer, void *state, void *open, const uint8_t *row, int32_t channel_stride,
                      void *buffer);

/* Whether a row of windows is complete. */
int32_t rnp_rnnpool_ready(const rnp_rnnpool *layer, const void *state);

/* Writes the output row that is ready: `windows` pixels, with padding. */
void rnp_rnnpool_give(const rnp_rnnpool *layer, void *state, void *open, uint8_t *out, void *buffer);

#endif
