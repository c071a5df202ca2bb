/* Rows in flight. */
#include "rnp_stream.h"

#include <string.h>

static uint8_t *slot(const rnp_stream *stream, const rnp_value *value, int32_t row) {
    return stream->arena + value->ring[row % value->slots];
}

const uint8_t *rnp_find_row(const rnp_stream *stream, int32_t value, int32_t row, int32_t *stride) {
    const rnp_value *const v = &stream->values[value];
    if (row < 0 || row >= v->height) {
        *stride = 0;
        return v->zeros;
    }
    *stride = v->stride;
    return row < stream->progress[value].landed ? slot(stream, v, row) : stream->arena + v->arriving;
}

void rnp_find_rows(const rnp_stream *stream, int32_t value, int32_t first, int32_t count, const uint8_t **rows,
                   int32_t *strides) {
    for (int32_t i = 0; i < count; i++) {
        rows[i] = rnp_find_row(stream, value, first + i, &strides[i]);
    }
}

uint8_t *rnp_next_row(const rnp_stream *stream, int32_t value) {
    const rnp_value *const v = &stream->values[value];
    return v->arriving == RNP_NOWHERE ? slot(stream, v, stream->progress[value].made) : stream->arena + v->arriving;
}

void rnp_row_made(const rnp_stream *stream, int32_t value) {
    rnp_progress *const progress = &stream->progress[value];
    progress->made++;
    if (stream->values[value].arriving == RNP_NOWHERE) {
        progress->landed = progress->made;
    }
}

void rnp_land(const rnp_stream *stream, int32_t value) {
    const rnp_value *const v = &stream->values[value];
    rnp_progress *const progress = &stream->progress[value];
    const size_t gap = (size_t)(v->stride - v->width); /* padding before the row, which comes along */
    memcpy(slot(stream, v, progress->made - 1) - gap, stream->arena + v->arriving - gap,
           gap + (size_t)(v->channels * v->stride));
    progress->landed = progress->made;
}
