/* Portable twin of rnp_fastgrnn_m4.S. */
#include "rnp_fastgrnn.h"

#if !RNP_USE_M4_DSP

static int32_t look_up(const uint32_t *gates, int32_t index) {
    return (int32_t)gates[index < 0 ? 0 : index < RNP_GATE_ENTRIES ? index : RNP_GATE_ENTRIES - 1];
}

void rnp_fastgrnn_first(const rnp_fastgrnn *cell, const int16_t *p0, const int16_t *p1, int16_t *next) {
    const uint32_t *gates = cell->gates;
    for (int32_t unit = 0; unit < cell->units; unit += 4) {
        for (int32_t i = 0; i < 4; i++) {
            next[i] = (int16_t)(look_up(gates, *p0++ >> 6) >> 15);
            next[4 + i] = (int16_t)(look_up(gates, *p1++ >> 6) >> 15);
            gates += RNP_GATE_ENTRIES;
        }
        next += 4 * RNP_LANES;
    }
}

/* sum of weights times the states of one lane; the weights of `unit` start at its pair's. */
static int32_t dot(const int16_t *weights, int32_t unit, const int16_t *state, int32_t lane, int32_t units_in) {
    const int16_t *w = weights + (unit / 2) * 2 * units_in + (unit % 2) * 4, *s = state + lane * 4;
    int32_t sum = 0;
    for (int32_t k = 0; k < units_in; k += 4) {
        sum += w[0] * s[0] + w[1] * s[1] + w[2] * s[2] + w[3] * s[3];
        w += 8;
        s += 8;
    }
    return sum;
}

void rnp_fastgrnn_step(const rnp_fastgrnn *cell, const int16_t *p0, const int16_t *p1, const int16_t *state,
                       int16_t *next) {
    for (int32_t unit = 0; unit < cell->units; unit++) {
        const uint32_t *const gates = cell->gates + unit * RNP_GATE_ENTRIES;
        for (int32_t lane = 0; lane < RNP_LANES; lane++) {
            const int32_t p = lane == 0 ? p0[unit] : p1[unit];
            const int32_t index = (p * 16384 + dot(cell->hidden, unit, state, lane, cell->units)) >> 20;
            const int32_t entry = look_up(gates, index);
            const int32_t place = (unit / 4) * 8 + lane * 4 + unit % 4;
            next[place] = (int16_t)(((int16_t)(entry & 0xFFFF) * state[place] + entry) >> 15);
        }
    }
}

void rnp_project_states(const rnp_projection *projection, const int16_t *state, int16_t *p0, int16_t *p1) {
    for (int32_t unit = 0; unit < projection->units_out; unit++) {
        const int32_t bias = projection->bias[unit];
        p0[unit] = (int16_t)((bias + dot(projection->weights, unit, state, 0, projection->units_in)) >> 16);
        p1[unit] = (int16_t)((bias + dot(projection->weights, unit, state, 1, projection->units_in)) >> 16);
    }
}

#else
typedef int rnp_fastgrnn_is_in_assembly; /* C99 wants a declaration in every file */
#endif
