/* Sums that wait: [2 output rows, by parity][tiles of 4 pixels][pairs of output channels][2][4 pixels], as
 * rnp_pointwise_sums adds them up. */
#include "rnp_sums.h"

static int32_t gathered(const rnp_sums *layer) {
    return RNP_ROUND_UP_4(3 * layer->channels);
}

/* Numbers of a row of sums. */
static int32_t row_sums(const rnp_sums *layer) {
    return RNP_ROUND_UP_4(layer->width) * layer->channels_out;
}

size_t rnp_sums_state_size(const rnp_sums *layer) {
    return sizeof(uint32_t) * 2u * (size_t)row_sums(layer);
}

size_t rnp_sums_buffer_size(const rnp_sums *layer) {
    return (size_t)RNP_TILE_BYTES(gathered(layer));
}

/* The sums of a tile before anything is added: the biases. */
static void begin(const rnp_sums *layer, uint32_t *sums) {
    const uint32_t *weights = layer->weights[0];
    for (int32_t channel = 0; channel < layer->channels_out; channel += 2) {
        for (int32_t pixel = 0; pixel < RNP_TILE_PIXELS; pixel++) {
            sums[pixel] = weights[0];
            sums[RNP_TILE_PIXELS + pixel] = weights[1];
        }
        sums += 2 * RNP_TILE_PIXELS;
        weights += RNP_POINTWISE_WORDS(3 * layer->channels, 2);
    }
}

/* The outputs of a tile that is complete. */
static void end(const rnp_sums *layer, const uint32_t *sums, int16_t *out) {
    const uint32_t *multipliers = layer->weights[2] + RNP_POINTWISE_WORDS(3 * layer->channels, 2) - 2;
    for (int32_t channel = 0; channel < layer->channels_out; channel += 2) {
        for (int32_t pixel = 0; pixel < RNP_TILE_PIXELS; pixel++) {
            const uint32_t both = sums[pixel], b = sums[RNP_TILE_PIXELS + pixel];
            const int32_t a = (int32_t)(both - b) >> 8;
            int16_t *const place = out + pixel * layer->channels_out + channel;
            place[0] = rnp_saturate_i16(rnp_requantise(a, (int32_t)multipliers[0]));
            place[1] = rnp_saturate_i16(rnp_requantise((int32_t)b, (int32_t)multipliers[1]));
        }
        sums += 2 * RNP_TILE_PIXELS;
        multipliers += RNP_POINTWISE_WORDS(3 * layer->channels, 2);
    }
}

void rnp_sums_row(const rnp_sums *layer, void *state, int32_t row, const uint8_t *pixels, int32_t stride, int16_t *out,
                  void *buffer) {
    const rnp_window window = {layer->channels, 1, 3, 1, 1};
    const int32_t size = gathered(layer), outputs = layer->channels_out;
    for (int32_t column = 0; column < layer->width; column += RNP_TILE_PIXELS) {
        rnp_window_tile(&window, &pixels, &stride, column, buffer);
        for (int32_t y = 2; y >= 0; y--) { /* the row above is done with before its memory goes to the row below */
            const int32_t output = row + 1 - y;
            if (output < 0 || output >= layer->height) {
                continue;
            }
            uint32_t *const sums = (uint32_t *)state + (output % 2) * row_sums(layer) + column * outputs;
            if (y == 0) {
                begin(layer, sums);
            }
            rnp_pointwise_sums(buffer, layer->weights[y], size, outputs, sums);
            if (y == 2) {
                end(layer, sums, out + column * outputs);
            }
        }
    }
}
