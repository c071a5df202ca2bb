/* Padding bytes around a row. */
#include "rnp.h"

#include <string.h>

void rnp_pad_row(uint8_t *row, int32_t channel_stride, int32_t channels, int32_t width, uint8_t zero_point) {
    const int32_t gap = channel_stride - width;
    memset(row - gap, zero_point, (size_t)gap);
    if (gap == 1) { /* the usual case */
        uint8_t *place = row + width;
        for (int32_t channel = 0; channel < channels; channel++) {
            *place = zero_point;
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
