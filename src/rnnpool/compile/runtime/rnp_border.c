/* Rows with a border. */
#include "rnp_border.h"

#include <string.h>

void rnp_border_row(const rnp_border *layer, const uint8_t *row, int32_t channel_stride, uint8_t *out) {
    uint8_t *place = out;
    const int32_t inside = row == out && layer->left == 0 && channel_stride == layer->stride_out; /* already there */
    for (int32_t channel = 0; channel < layer->channels; channel++) {
        const uint8_t first = layer->replicate ? row[0] : layer->zero_point_out;
        const uint8_t last = layer->replicate ? row[layer->width - 1] : layer->zero_point_out;
        memset(place, first, (size_t)layer->left);
        if (!inside) {
            memcpy(place + layer->left, row, (size_t)layer->width);
        }
        memset(place + layer->left + layer->width, last, (size_t)layer->right);
        row += channel_stride;
        place += layer->stride_out;
    }
    rnp_pad_row(out, layer->stride_out, layer->channels, layer->left + layer->width + layer->right,
                layer->zero_point_out);
}
