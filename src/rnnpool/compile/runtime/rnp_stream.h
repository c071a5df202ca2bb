/* Rows in flight: where the rows of each value of a network lie while it runs row by row.
 *
 * A value keeps its last rows in a ring of slots, each anywhere in the arena. A row that arrives may lie in a place of
 * its own until the ring's oldest row is dead, and is copied over it then ("lands"). All these places are shared with
 * whatever is not in use at the same time. The network's code knows when: it was planned when the code was made. */
#ifndef RNP_STREAM_H
#define RNP_STREAM_H

#include "rnp.h"

#define RNP_NOWHERE UINT32_MAX

typedef struct {
    const uint32_t *ring; /* [slots] arena offsets of their pixel 0 */
    uint32_t arriving;    /* arena offset of the place of arrival; RNP_NOWHERE: rows arrive in the ring */
    int32_t slots;        /* 0: no row outlives the place of arrival */
    int32_t channels;
    int32_t stride;       /* bytes from channel to channel; a row is channels * stride bytes */
    int32_t width;        /* pixels */
    int32_t height;       /* rows in all */
    const uint8_t *zeros; /* a row of zero points that stands for any channel, for rows above and below the map */
} rnp_value;

/* How far a stage and its value are. */
typedef struct {
    int16_t made;   /* rows that exist */
    int16_t landed; /* of them, rows that are in the ring */
    int16_t taken;  /* input rows, of a stage that takes them in one by one */
} rnp_progress;

typedef struct {
    uint8_t *arena;
    const rnp_value *values;
    rnp_progress *progress; /* one a value */
} rnp_stream;

/* Pixel 0 of channel 0 of a row that exists or lies outside the map; *stride receives its channel stride. */
const uint8_t *rnp_find_row(const rnp_stream *stream, int32_t value, int32_t row, int32_t *stride);

/* The rows first .. first + count - 1. */
void rnp_find_rows(const rnp_stream *stream, int32_t value, int32_t first, int32_t count, const uint8_t **rows,
                   int32_t *strides);

/* Where the next row of a value is to be written. */
uint8_t *rnp_next_row(const rnp_stream *stream, int32_t value);

/* The next row has been written. */
void rnp_row_made(const rnp_stream *stream, int32_t value);

/* Copies the newest row from its place of arrival into the ring. */
void rnp_land(const rnp_stream *stream, int32_t value);

#endif
