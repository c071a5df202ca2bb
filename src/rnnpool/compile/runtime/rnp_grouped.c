/* A group after the other; each is a convolution of its own, whose rows lie side by side with the others'. */
#include "rnp_grouped.h"

size_t rnp_grouped_buffer_size(const rnp_grouped *layer) {
    return rnp_conv_buffer_size(&layer->group);
}

/* From a group to the next, in the weights and in the input. */
static void move_on(rnp_conv *group, const uint8_t **rows, const int32_t *strides) {
    const rnp_window *const window = &group->window;
    const int32_t size = window->channels * window->kernel_height * window->kernel_width;
    group->weights += RNP_POINTWISE_WORDS(size, group->channels_out);
    for (int32_t y = 0; y < window->kernel_height; y++) {
        rows[y] += window->channels * strides[y];
    }
}

void rnp_grouped_row(const rnp_grouped *layer, const uint8_t **rows, const int32_t *strides, uint8_t *out, void *buffer) {
    rnp_conv group = layer->group;
    for (int32_t i = 0; i < layer->groups; i++) {
        rnp_conv_row(&group, rows, strides, out, buffer);
        move_on(&group, rows, strides);
        out += group.channels_out * group.stride_out;
    }
}

void rnp_grouped_row_i16(const rnp_grouped *layer, const uint8_t **rows, const int32_t *strides, int16_t *out,
                         void *buffer) {
    rnp_conv group = layer->group;
    for (int32_t i = 0; i < layer->groups; i++) {
        rnp_conv_row_i16(&group, rows, strides, out, buffer);
        move_on(&group, rows, strides);
        out += group.channels_out;
    }
}
