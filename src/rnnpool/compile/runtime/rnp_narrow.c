/* Four numbers a word, by masks alone; on Cortex-M4 rnp_narrow_m4.S has the states. */
#include "rnp_narrow.h"

#include <string.h>

#define ODD_BYTES UINT32_C(0xFF00FF00)
#define EVEN_BYTES UINT32_C(0x00FF00FF)
#define HALVES UINT32_C(0x00800080)

#if !RNP_USE_M4_DSP

void rnp_narrow_states(const int16_t *states, int32_t count, uint8_t *narrow) {
    for (int32_t i = 0; i < count; i += 4) {
        uint32_t pairs[2], word;
        memcpy(pairs, states + i, 8);
        word = ((pairs[0] >> 8) & EVEN_BYTES) | (pairs[1] & ODD_BYTES);
        memcpy(narrow + i, &word, 4);
    }
}

void rnp_widen_states(const uint8_t *narrow, int32_t count, int16_t *states) {
    for (int32_t i = 0; i < count; i += 4) {
        uint32_t pairs[2], word;
        memcpy(&word, narrow + i, 4);
        pairs[0] = ((word & EVEN_BYTES) << 8) | HALVES;
        pairs[1] = (word & ODD_BYTES) | HALVES;
        memcpy(states + i, pairs, 8);
    }
}

#endif

static uint32_t narrow_one(int16_t p) {
    return rnp_saturate_u8((p + 16) >> 5);
}

void rnp_narrow_projected(const int16_t *p, int32_t count, uint8_t *narrow) {
    for (int32_t i = 0; i < count; i += 4) {
        const uint32_t even = narrow_one(p[i]) | narrow_one(p[i + 1]) << 16;
        const uint32_t odd = narrow_one(p[i + 2]) | narrow_one(p[i + 3]) << 16;
        const uint32_t word = even | odd << 8;
        memcpy(narrow + i, &word, 4);
    }
}

void rnp_widen_projected(const uint8_t *narrow, int32_t count, int16_t *p) {
    for (int32_t i = 0; i < count; i += 4) {
        uint32_t pairs[2], word;
        memcpy(&word, narrow + i, 4);
        pairs[0] = (word & EVEN_BYTES) << 5;
        pairs[1] = ((word >> 8) & EVEN_BYTES) << 5;
        memcpy(p + i, pairs, 8);
    }
}
