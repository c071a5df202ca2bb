/* FastGRNN in integers: one time step of two sequences at once.
 *
 * h' = z h + c, where z and c = (zeta (1 - z) + nu) tanh(...) come from one table a unit, indexed by the
 * pre-activation. No number is rounded but in the tables and in the state:
 *   accumulator = p * 2^14 + sum of U h               p: int16_t, W x less the table's first input, 64 an entry
 *   entry       = table[unit][clip(accumulator >> 20, 0, 127)] = c * 2^15 + z       both Q15, z + |c| <= 32767
 *   h'          = (z * h + entry) >> 15               c is even, so that the low half of an entry is z alone
 * Each unit has a scale of its own: that of its row of U, its p and its table.
 *
 * Lanes. Two sequences share the weights that are loaded: int16_t state[units / 4][2][4], 4 units of the first
 * sequence, then of the second. units is a multiple of 4; units in excess have tables of zeros. */
#ifndef RNP_FASTGRNN_H
#define RNP_FASTGRNN_H

#include "rnp.h"

#define RNP_GATE_ENTRIES 128
#define RNP_LANES 2

typedef struct {
    int32_t units;         /* a multiple of 4 */
    const int16_t *hidden; /* U: [units / 2][units / 4][2][4], 4 inputs of one unit, then of the next; 4-byte aligned */
    const uint32_t *gates; /* [units][RNP_GATE_ENTRIES] */
} rnp_fastgrnn;

/* One step of both lanes.
 *
 * p0, p1   int16_t [units], the first and the second lane's projected input; 4-byte aligned
 * state    int16_t [units / 4][2][4], the states before; 4-byte aligned
 * next     the states after; not the same memory */
void rnp_fastgrnn_step(const rnp_fastgrnn *cell, const int16_t *p0, const int16_t *p1, const int16_t *state,
                       int16_t *next);

/* The first step of both lanes, from states of zero: h' = c. */
void rnp_fastgrnn_first(const rnp_fastgrnn *cell, const int16_t *p0, const int16_t *p1, int16_t *next);

/* W h of another layer's states, for the cell that reads them: p = (bias + sum of W h) >> 16, where the bias holds
 * the 2^15 that rounds, and W the scale that makes p come out in the upper half. */
typedef struct {
    int32_t units_in;       /* a multiple of 4 */
    int32_t units_out;      /* a multiple of 4 */
    const int16_t *weights; /* like rnp_fastgrnn.hidden: [units_out / 2][units_in / 4][2][4] */
    const int32_t *bias;    /* [units_out] */
} rnp_projection;

/* Projects both lanes: state int16_t [units_in / 4][2][4] -> p0, p1 int16_t [units_out], 4-byte aligned. */
void rnp_project_states(const rnp_projection *projection, const int16_t *state, int16_t *p0, int16_t *p1);

#endif
