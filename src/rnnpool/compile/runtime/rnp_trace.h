/* Rows shown as they are made, for who compares a network with its simulator, tensor by tensor.
 *
 * A build with -DRNP_TRACING=1 calls rnp_trace, which it has to bring along, after every row of every tensor that lies
 * in the arena; any other build has nothing of it. */
#ifndef RNP_TRACE_H
#define RNP_TRACE_H

#include "rnp.h"

#if defined(RNP_TRACING) && RNP_TRACING
/* tensor   its number, that of the node in the Python network
 * row      rows come in turn, each once
 * pixels   planar: pixel x of channel c is pixels[c * stride + x]. They are gone after the call
 * stride   bytes; what lies behind the width of a row is padding */
void rnp_trace(int32_t tensor, int32_t row, const uint8_t *pixels, int32_t channels, int32_t stride);
#define RNP_TRACE(tensor, row, pixels, channels, stride) rnp_trace(tensor, row, pixels, channels, stride)
#else
#define RNP_TRACE(tensor, row, pixels, channels, stride) ((void)0)
#endif

#endif
