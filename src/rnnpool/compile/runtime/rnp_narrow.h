/* 8-bit storage of a recurrent layer's numbers between their uses. Orders within 4 numbers are internal. */
#ifndef RNP_NARROW_H
#define RNP_NARROW_H

#include "rnp.h"

/* States: the upper byte is kept, and half a unit restored: h -> (h >> 8) * 256 + 128. count is a multiple of 8; both
 * pointers are 4-byte aligned. */
void rnp_narrow_states(const int16_t *states, int32_t count, uint8_t *narrow);
void rnp_widen_states(const uint8_t *narrow, int32_t count, int16_t *states);

/* Projected inputs: p -> clip((p + 16) >> 5, 0, 255) * 32, half entries of the gates' tables. */
void rnp_narrow_projected(const int16_t *p, int32_t count, uint8_t *narrow);
void rnp_widen_projected(const uint8_t *narrow, int32_t count, int16_t *p);

#endif
