/* For who wants to see inside: builds with -DRNP_TRACING=1 and -DRNP_TIMING=1 call functions that they have to bring
 * along; any other build has nothing of it. */
#ifndef RNP_TRACE_H
#define RNP_TRACE_H

#include "rnp.h"

#if defined(RNP_TRACING) && RNP_TRACING
/* After every row of every tensor that lies in the arena, for who compares a network with its simulator.
 *
 * tensor   its number, that of the node in the Python network
 * row      rows come in turn, each once
 * pixels   planar: pixel x of channel c is pixels[c * stride + x]. They are gone after the call
 * stride   bytes; what lies behind the width of a row is padding */
void rnp_trace(int32_t tensor, int32_t row, const uint8_t *pixels, int32_t channels, int32_t stride);
#define RNP_TRACE(tensor, row, pixels, channels, stride) rnp_trace(tensor, row, pixels, channels, stride)
#else
#define RNP_TRACE(tensor, row, pixels, channels, stride) ((void)0)
#endif

#if defined(RNP_TIMING) && RNP_TIMING
/* A stage of the network begins; 0: what belongs to none goes on. */
void rnp_stage(int32_t stage);
#define RNP_STAGE(stage) rnp_stage(stage)
#else
#define RNP_STAGE(stage) ((void)0)
#endif

#endif
