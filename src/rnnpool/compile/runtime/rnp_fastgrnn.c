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

#if RNP_USE_SSE2
#include "rnp_fastgrnn_sse2.h"
#elif RNP_USE_SIMD128
#include "rnp_fastgrnn_simd128.h"
#else

/* Of two units the sums of weights times the states of each lane. */
static void multiply_pair(const int16_t *weights, const int16_t *state, int32_t units_in, int32_t sums[2][RNP_LANES]) {
    for (int32_t unit = 0; unit < 2; unit++) {
        for (int32_t lane = 0; lane < RNP_LANES; lane++) {
            const int16_t *w = weights + 4 * unit, *s = state + 4 * lane;
            int32_t sum = 0;
            for (int32_t k = 0; k < units_in; k += 4) {
                sum += w[0] * s[0] + w[1] * s[1] + w[2] * s[2] + w[3] * s[3];
                w += 8;
                s += 8;
            }
            sums[unit][lane] = sum;
        }
    }
}

#endif

void rnp_fastgrnn_step(const rnp_fastgrnn *cell, const int16_t *p0, const int16_t *p1, const int16_t *state,
                       int16_t *next) {
    const uint32_t *gates = cell->gates;
    for (int32_t pair = 0; pair < cell->units; pair += 2) {
        int32_t sums[2][RNP_LANES];
        multiply_pair(cell->hidden + pair * cell->units, state, cell->units, sums);
        for (int32_t unit = pair; unit < pair + 2; unit++) {
            for (int32_t lane = 0; lane < RNP_LANES; lane++) {
                const int32_t p = lane == 0 ? p0[unit] : p1[unit];
                const int32_t entry = look_up(gates, (p * 16384 + sums[unit - pair][lane]) >> 20);
                const int32_t place = (unit / 4) * 8 + lane * 4 + unit % 4;
                next[place] = (int16_t)(((int16_t)(entry & 0xFFFF) * state[place] + entry) >> 15);
            }
            gates += RNP_GATE_ENTRIES;
        }
    }
}

void rnp_project_states(const rnp_projection *projection, const int16_t *state, int16_t *p0, int16_t *p1) {
    for (int32_t pair = 0; pair < projection->units_out; pair += 2) {
        int32_t sums[2][RNP_LANES];
        multiply_pair(projection->weights + pair * projection->units_in, state, projection->units_in, sums);
        for (int32_t unit = 0; unit < 2; unit++) {
            p0[pair + unit] = (int16_t)((projection->bias[pair + unit] + sums[unit][0]) >> 16);
            p1[pair + unit] = (int16_t)((projection->bias[pair + unit] + sums[unit][1]) >> 16);
        }
    }
}

#else
typedef int rnp_fastgrnn_is_in_assembly; /* C99 wants a declaration in every file */
#endif
