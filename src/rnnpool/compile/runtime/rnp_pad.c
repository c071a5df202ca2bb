/* Padding bytes behind a row. */
#include "rnp.h"

void rnp_pad_row(uint8_t *row, int32_t channel_stride, int32_t channels, int32_t width, uint8_t zero_point) {
    const int32_t pitch = RNP_ROW_PITCH(width);
    for (int32_t channel = 0; channel < channels; channel++) {
        for (int32_t x = width; x < pitch; x++) {
            row[x] = zero_point;
        }
        row += channel_stride;
    }
}
