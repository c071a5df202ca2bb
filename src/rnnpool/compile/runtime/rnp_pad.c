/* Padding bytes around a row. */
#include "rnp.h"

#include <string.h>

void rnp_pad_row(uint8_t *row, int32_t channel_stride, int32_t channels, int32_t width, uint8_t zero_point) {
    const int32_t gap = channel_stride - width;
    memset(row - gap, zero_point, (size_t)gap);
    if (gap == 4) { /* the usual case: one word a channel */
        const uint32_t word = zero_point * UINT32_C(0x01010101);
        uint8_t *place = row + width;
        for (int32_t channel = 0; channel < channels; channel++) {
            memcpy(place, &word, 4);
            place += channel_stride;
        }
        return;
    }
    for (int32_t channel = 0; channel < channels; channel++) {
        for (int32_t x = width; x < channel_stride; x++) {
            row[x] = zero_point;
        }
        row += channel_stride;
    }
}
