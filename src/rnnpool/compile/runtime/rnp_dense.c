/* Fully connected rows: the input widened once, weights split into pairs as they are loaded. */
#include "rnp_dense.h"

#include <string.h>

size_t rnp_dense_buffer_size(const rnp_dense *layer) {
    return (size_t)RNP_ROUND_UP_4(layer->channels_in) * sizeof(int16_t);
}

#if RNP_USE_M4_DSP
static int32_t dot(const int8_t *weights, const int16_t *values, int32_t count, int32_t sum) {
    for (int32_t k = 0; k < count; k += 4) {
        uint32_t word, first, second, low, high;
        memcpy(&word, weights + k, 4);
        memcpy(&low, values + k, 4);
        memcpy(&high, values + k + 2, 4);
        __asm("sxtb16 %0, %1" : "=r"(first) : "r"(word));
        __asm("sxtb16 %0, %1, ror #8" : "=r"(second) : "r"(word));
        __asm("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(first), "r"(low));
        __asm("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(second), "r"(high));
    }
    return sum;
}
#else
static int32_t dot(const int8_t *weights, const int16_t *values, int32_t count, int32_t sum) {
    for (int32_t k = 0; k < count; k += 4) {
        sum += weights[k] * values[k] + weights[k + 2] * values[k + 1];
        sum += weights[k + 1] * values[k + 2] + weights[k + 3] * values[k + 3];
    }
    return sum;
}
#endif

void rnp_dense_i16(const rnp_dense *layer, const uint8_t *in, int16_t *out, void *buffer) {
    const int32_t count = RNP_ROUND_UP_4(layer->channels_in);
    int16_t *const values = buffer;
    for (int32_t k = 0; k < count; k++) {
        values[k] = k < layer->channels_in ? (int16_t)in[k] : (int16_t)0;
    }
    for (int32_t channel = 0; channel < layer->channels_out; channel++) {
        const int32_t *const scales = layer->scales + 2 * channel;
        const int32_t sum = dot(layer->weights + channel * count, values, count, scales[0]);
        out[channel] = rnp_saturate_i16(rnp_requantise(sum, scales[1]));
    }
}
