/* Fully connected rows, four at a time, so that inputs are loaded and widened once for all four. */
#include "rnp_dense.h"

#include <string.h>

enum { ROWS = 4 };

#if RNP_USE_M4_DSP
static uint32_t load_word(const void *bytes) {
    uint32_t word;
    memcpy(&word, bytes, 4);
    return word;
}

/* sum + 4 weights times 4 inputs, of which even are 0 and 2, odd 1 and 3. */
static int32_t multiply_add(int32_t sum, uint32_t weights, uint32_t even, uint32_t odd) {
    uint32_t pair;
    __asm("sxtb16 %0, %1" : "=r"(pair) : "r"(weights));
    __asm("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(pair), "r"(even));
    __asm("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(weights));
    __asm("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(pair), "r"(odd));
    return sum;
}

static void multiply_rows(const int8_t *weights, int32_t count, const uint8_t *in, int32_t sums[ROWS]) {
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    const int8_t *const w1 = weights + count, *const w2 = w1 + count, *const w3 = w2 + count;
    for (int32_t k = 0; k < count; k += 4) {
        const uint32_t x = load_word(in + k), even = rnp_even_bytes(x), odd = rnp_odd_bytes(x);
        s0 = multiply_add(s0, load_word(weights + k), even, odd);
        s1 = multiply_add(s1, load_word(w1 + k), even, odd);
        s2 = multiply_add(s2, load_word(w2 + k), even, odd);
        s3 = multiply_add(s3, load_word(w3 + k), even, odd);
    }
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}
#else
static void multiply_rows(const int8_t *weights, int32_t count, const uint8_t *in, int32_t sums[ROWS]) {
    for (int32_t row = 0; row < ROWS; row++) {
        for (int32_t k = 0; k < count; k++) {
            sums[row] += weights[row * count + k] * in[k];
        }
    }
}
#endif

void rnp_dense_i16(const rnp_dense *layer, const uint8_t *in, int16_t *out) {
    const int32_t count = RNP_ROUND_UP_4(layer->channels_in);
    const int32_t *scales = layer->scales;
    for (int32_t first = 0; first < layer->channels_out; first += ROWS) {
        int32_t sums[ROWS];
        for (int32_t row = 0; row < ROWS; row++) {
            sums[row] = scales[2 * row];
        }
        multiply_rows(layer->weights + first * count, count, in, sums);
        for (int32_t row = 0; row < ROWS && first + row < layer->channels_out; row++) {
            out[first + row] = rnp_saturate_i16(rnp_requantise(sums[row], scales[2 * row + 1]));
        }
        scales += 2 * ROWS;
    }
}
