/* The streaming of RNNPool; its arithmetic is rnp_pointwise's and rnp_fastgrnn's. */
#include "rnp_rnnpool.h"

#include "rnp_narrow.h"
#include "rnp_pointwise.h"
#include "rnp_tile.h"

#include <string.h>

/* State memory: projected summaries [rows][windows][rnn2.units] and column states [window rows][entries][2 * rnn1.units],
 * where an entry is a pair of columns. Numbers are int16_t, or bytes if narrow. Rows count from the top of the first row
 * of windows that is not complete, and rows of windows from that one.
 *
 * It is in two parts. Once a row of windows is complete, what the others need is moved into the first part, behind the
 * header; the second is free until the next row is pushed.
 *
 * Wide states have a spare entry, so that a step writes beside what it reads: with every step the entries of a row of
 * windows move down by one, cyclically. Narrow ones are widened, stepped and narrowed in place. */
typedef struct {
    int32_t rows;     /* pushed so far */
    int32_t complete; /* rows of windows */
} header;

typedef struct {
    header *head;
    uint8_t *kept;
    uint8_t *open;
} state_memory;

/* Columns that windows cover. */
static int32_t count_columns(const rnp_rnnpool *layer) {
    return (layer->windows - 1) * layer->stride_width + layer->kernel_width;
}

/* Pairs of columns: the lanes of the column sweeps. Tiles hold two of them. */
static int32_t count_pairs(const rnp_rnnpool *layer) {
    return RNP_ROUND_UP_4(count_columns(layer)) / 2;
}

/* Places of pairs in a row of windows. */
static int32_t count_entries(const rnp_rnnpool *layer) {
    return count_pairs(layer) + (layer->narrow ? 0 : 1);
}

/* Bytes of a number that is kept. */
static int32_t kept_size(const rnp_rnnpool *layer) {
    return layer->narrow ? 1 : (int32_t)sizeof(int16_t);
}

/* Rows of windows that are open at a time. */
static int32_t count_open(const rnp_rnnpool *layer) {
    return (layer->kernel_height + layer->stride_height - 1) / layer->stride_height;
}

/* Columns that wait in the buffer for their windows' sweeps, two windows at a time. */
static int32_t waiting_columns(const rnp_rnnpool *layer) {
    return layer->kernel_width + layer->stride_width + RNP_TILE_PIXELS - 1;
}

/* Slots of the ring of projected column summaries: a pair more may be there than a window needs. */
static int32_t ring_columns(const rnp_rnnpool *layer) {
    return (layer->kernel_width + 2) & ~1;
}

/* Rows of summaries, and rows of windows, that outlive a complete row of windows. */
static int32_t kept_summaries(const rnp_rnnpool *layer) {
    return layer->kernel_height - layer->stride_height;
}

static int32_t kept_columns(const rnp_rnnpool *layer) {
    return count_open(layer) - 1;
}

/* Bytes of a row of summaries, and of the column states of a row of windows. */
static int32_t summaries_size(const rnp_rnnpool *layer) {
    return kept_size(layer) * layer->windows * layer->rnn2.units;
}

static int32_t columns_size(const rnp_rnnpool *layer) {
    return kept_size(layer) * count_entries(layer) * RNP_LANES * layer->rnn1.units;
}

static int32_t larger(int32_t a, int32_t b) {
    return a > b ? a : b;
}

/* Scratch memory, carved up. */
typedef struct {
    int16_t *tile;
    int16_t *states[2]; /* before and after a step, both lanes */
    int16_t *rows;      /* projected row summaries of a window [kernel_height][rnn2.units]; at least two */
    int16_t *waiting;   /* of a row pushed: projected pixels [waiting_columns][rnn1.units] */
    int16_t *ring;      /* of a row given: projected column summaries [ring_columns][rnn2.units], in the same place */
} scratch;

static int32_t state_units(const rnp_rnnpool *layer) {
    return RNP_LANES * larger(layer->rnn1.units, layer->rnn2.units);
}

static scratch carve(const rnp_rnnpool *layer, void *buffer) {
    scratch s;
    s.tile = buffer;
    s.states[0] = s.tile + RNP_ROUND_UP_4(layer->channels) * RNP_TILE_PIXELS;
    s.states[1] = s.states[0] + state_units(layer);
    s.rows = s.states[1] + state_units(layer);
    s.waiting = s.ring = s.rows + larger(layer->kernel_height, RNP_LANES) * layer->rnn2.units;
    return s;
}

size_t rnp_rnnpool_state_size(const rnp_rnnpool *layer) {
    const int32_t size = kept_summaries(layer) * summaries_size(layer) + kept_columns(layer) * columns_size(layer);
    return sizeof(header) + (size_t)size;
}

size_t rnp_rnnpool_open_size(const rnp_rnnpool *layer) {
    return (size_t)(layer->stride_height * summaries_size(layer) + columns_size(layer));
}

size_t rnp_rnnpool_buffer_size(const rnp_rnnpool *layer) {
    const int32_t pushed = waiting_columns(layer) * layer->rnn1.units, given = ring_columns(layer) * layer->rnn2.units;
    const int32_t units = RNP_ROUND_UP_4(layer->channels) * RNP_TILE_PIXELS + 2 * state_units(layer) +
                          larger(layer->kernel_height, RNP_LANES) * layer->rnn2.units + larger(pushed, given);
    return sizeof(int16_t) * (size_t)units;
}

void rnp_rnnpool_begin(const rnp_rnnpool *layer, void *state) {
    header *const h = state;
    (void)layer;
    h->rows = 0;
    h->complete = 0;
}

/* A row of summaries. */
static uint8_t *summaries(const rnp_rnnpool *layer, const state_memory *state, int32_t row) {
    const int32_t kept = kept_summaries(layer);
    return row < kept ? state->kept + row * summaries_size(layer) : state->open + (row - kept) * summaries_size(layer);
}

/* The summary of a window in a row of the image. */
static uint8_t *summary(const rnp_rnnpool *layer, const state_memory *state, int32_t row, int32_t window) {
    const int32_t number = row - state->head->complete * layer->stride_height;
    return summaries(layer, state, number) + kept_size(layer) * window * layer->rnn2.units;
}

/* The column states of the row of windows that is `number` after the first open one. */
static uint8_t *column_states(const rnp_rnnpool *layer, const state_memory *state, int32_t number) {
    if (number < kept_columns(layer)) {
        return state->kept + kept_summaries(layer) * summaries_size(layer) + number * columns_size(layer);
    }
    return state->open + layer->stride_height * summaries_size(layer);
}

/* A row of windows is complete: what the others need moves up. */
static void move_up(const rnp_rnnpool *layer, const state_memory *state) {
    for (int32_t row = 0; row < kept_summaries(layer); row++) {
        memcpy(summaries(layer, state, row), summaries(layer, state, row + layer->stride_height),
               (size_t)summaries_size(layer));
    }
    for (int32_t number = 0; number < kept_columns(layer); number++) {
        memcpy(column_states(layer, state, number), column_states(layer, state, number + 1),
               (size_t)columns_size(layer));
    }
    state->head->complete++;
}

static void keep_summary(const rnp_rnnpool *layer, const int16_t *p, uint8_t *place) {
    if (layer->narrow) {
        rnp_narrow_projected(p, layer->rnn2.units, place);
    } else {
        memcpy(place, p, sizeof(int16_t) * (size_t)layer->rnn2.units);
    }
}

static void load_summary(const rnp_rnnpool *layer, const uint8_t *place, int16_t *p) {
    if (layer->narrow) {
        rnp_widen_projected(place, layer->rnn2.units, p);
    } else {
        memcpy(p, place, sizeof(int16_t) * (size_t)layer->rnn2.units);
    }
}

/* The entry where pair 0 stands after `steps` steps; pair i stands i entries on, cyclically. */
static int32_t first_entry(const rnp_rnnpool *layer, int32_t steps) {
    const int32_t entries = count_entries(layer);
    if (layer->narrow) {
        return 0;
    }
    while (steps > entries) {
        steps -= entries;
    }
    return steps == 0 ? 0 : entries - steps;
}

/* One step of the narrow states of a pair. */
static void step_narrow(const rnp_rnnpool *layer, int32_t steps, const int16_t *p, uint8_t *entry, const scratch *s) {
    const int32_t units = layer->rnn1.units;
    if (steps == 0) {
        rnp_fastgrnn_first(&layer->rnn1, p, p + units, s->states[1]);
    } else {
        rnp_widen_states(entry, RNP_LANES * units, s->states[0]);
        rnp_fastgrnn_step(&layer->rnn1, p, p + units, s->states[0], s->states[1]);
    }
    rnp_narrow_states(s->states[1], RNP_LANES * units, entry);
}

/* Moves the column sweeps of one row of windows on by the pixels of one tile: from `steps` steps to one more. */
static void advance_columns(const rnp_rnnpool *layer, uint8_t *kept, int32_t steps, int32_t column, const int16_t *p,
                            const scratch *s) {
    const int32_t units = layer->rnn1.units, entries = count_entries(layer), size = RNP_LANES * units;
    int32_t entry = first_entry(layer, steps + 1) + column / 2;
    if (layer->narrow) {
        step_narrow(layer, steps, p, kept + entry * size, s);
        step_narrow(layer, steps, p + RNP_LANES * units, kept + (entry + 1) * size, s);
        return;
    }
    int16_t *const states = (int16_t *)(void *)kept, *const end = states + entries * size;
    if (entry >= entries) {
        entry -= entries;
    }
    int16_t *next = states + entry * size;
    for (int32_t i = 0; i < RNP_TILE_PIXELS; i += RNP_LANES) {
        int16_t *before = next + size; /* where the pair is; the place for its next state is the one before that */
        if (before == end) {
            before = states;
        }
        if (steps == 0) {
            rnp_fastgrnn_first(&layer->rnn1, p, p + units, next);
        } else {
            rnp_fastgrnn_step(&layer->rnn1, p, p + units, before, next);
        }
        next = before;
        p += RNP_LANES * units;
    }
}

/* The same for all rows of windows that are open. */
static void advance_open_columns(const rnp_rnnpool *layer, const state_memory *state, int32_t row, int32_t column, const int16_t *p,
                                 const scratch *s) {
    int32_t window_row = row / layer->stride_height;
    if (window_row >= layer->window_rows) {
        window_row = layer->window_rows - 1;
    }
    int32_t steps = row - window_row * layer->stride_height;
    for (; window_row >= 0 && steps < layer->kernel_height; window_row--) {
        uint8_t *const kept = column_states(layer, state, window_row - state->head->complete);
        advance_columns(layer, kept, steps, column, p, s);
        steps += layer->stride_height;
    }
}

/* Two sequences of `steps` projected inputs, p0 and p1 moving by their strides; returns the last states. */
static const int16_t *sweep(const rnp_fastgrnn *cell, const scratch *s, int32_t steps, const int16_t *p0,
                            int32_t stride0, const int16_t *p1, int32_t stride1) {
    rnp_fastgrnn_first(cell, p0, p1, s->states[0]);
    for (int32_t t = 1; t < steps; t++) {
        p0 += stride0;
        p1 += stride1;
        rnp_fastgrnn_step(cell, p0, p1, s->states[(t + 1) % 2], s->states[t % 2]);
    }
    return s->states[(steps + 1) % 2];
}

/* Projects a row, sweeps its windows two at a time, and moves the column sweeps on. */
static void take_row(const rnp_rnnpool *layer, const state_memory *state, int32_t row, const uint8_t *pixels, int32_t channel_stride,
                     const scratch *s) {
    const int32_t units = layer->rnn1.units, stride = layer->stride_width, channels = layer->channels;
    int32_t first = 0, end = 0; /* the columns that wait */
    pixels -= layer->padding_width;
    for (int32_t window = 0; window < layer->windows; window += RNP_LANES) {
        const int32_t both = window + 1 < layer->windows;
        while (end < (window + both) * stride + layer->kernel_width) {
            int16_t *const p = s->waiting + (end - first) * units;
            rnp_widen_tile(pixels + end, channel_stride, channels, s->tile);
            rnp_pointwise_i16(s->tile, layer->input_weights, RNP_ROUND_UP_4(channels), units, p, units);
            advance_open_columns(layer, state, row, end, p, s);
            end += RNP_TILE_PIXELS;
        }
        const int16_t *const p1 = s->waiting + (both ? stride * units : 0);
        const int16_t *const last = sweep(&layer->rnn1, s, layer->kernel_width, s->waiting, units, p1, units);
        rnp_project_states(&layer->project, last, s->rows, s->rows + layer->rnn2.units);
        for (int32_t lane = 0; lane <= both; lane++) {
            keep_summary(layer, s->rows + lane * layer->rnn2.units, summary(layer, state, row, window + lane));
        }
        first += RNP_LANES * stride;
        if (end > first) {
            memmove(s->waiting, s->waiting + RNP_LANES * stride * units,
                    sizeof(int16_t) * (size_t)((end - first) * units));
        }
    }
}

/* Writes the bytes of both lanes: channels `channel` .. for the first, + hidden2 for the second. */
static void emit(const rnp_rnnpool *layer, const int16_t *states, int32_t channel, uint8_t *out) {
    const int32_t *scales = layer->scales + 2 * channel;
    const int32_t hidden = layer->hidden2, stride = layer->stride_out;
    out += channel * stride;
    for (int32_t lane = 0; lane < RNP_LANES; lane++) {
        const int16_t *from = states + 4 * lane;
        for (int32_t unit = 1; unit <= hidden; unit++) {
            *out = rnp_saturate_u8(rnp_requantise(*from++ + scales[0], scales[1]));
            out += stride;
            scales += 2;
            if (unit % 4 == 0) {
                from += 4; /* the other lane's units */
            }
        }
    }
}

/* RNN2 over the rows and the columns of every window of a complete row of windows. */
static void finish_windows(const rnp_rnnpool *layer, const state_memory *state, uint8_t *out, const scratch *s) {
    const int32_t units = layer->rnn2.units, height = layer->kernel_height, width = layer->kernel_width;
    const int32_t slots = ring_columns(layer), top = state->head->complete * layer->stride_height;
    const uint8_t *const kept = column_states(layer, state, 0);
    int32_t entry = first_entry(layer, height), projected = 0; /* columns in the ring */
    for (int32_t window = 0; window < layer->windows; window++) {
        const int32_t left = window * layer->stride_width;
        for (int32_t t = 0; t < height; t++) {
            load_summary(layer, summary(layer, state, top + t, window), s->rows + t * units);
        }
        emit(layer, sweep(&layer->rnn2, s, height, s->rows, units, s->rows + (height - 1) * units, -units), 0,
             out + window);

        for (; projected < left + width; projected += 2) {
            int16_t *const place = s->ring + (projected % slots) * units;
            const int32_t size = RNP_LANES * layer->rnn1.units;
            const int16_t *states = (const int16_t *)(const void *)kept + entry * size;
            if (layer->narrow) {
                rnp_widen_states(kept + entry * size, size, s->states[0]);
                states = s->states[0];
            }
            rnp_project_states(&layer->project, states, place, place + units);
            entry = entry + 1 == count_entries(layer) ? 0 : entry + 1;
        }
        rnp_fastgrnn_first(&layer->rnn2, s->ring + (left % slots) * units,
                           s->ring + ((left + width - 1) % slots) * units, s->states[0]);
        for (int32_t t = 1; t < width; t++) {
            rnp_fastgrnn_step(&layer->rnn2, s->ring + ((left + t) % slots) * units,
                              s->ring + ((left + width - 1 - t) % slots) * units, s->states[(t + 1) % 2],
                              s->states[t % 2]);
        }
        emit(layer, s->states[(width + 1) % 2], 2 * layer->hidden2, out + window);
    }
}

int32_t rnp_rnnpool_ready(const rnp_rnnpool *layer, const void *state) {
    const header *const h = state;
    return h->rows == h->complete * layer->stride_height + layer->kernel_height;
}

void rnp_rnnpool_push(const rnp_rnnpool *layer, void *state, void *open, const uint8_t *row, int32_t channel_stride,
                      void *buffer) {
    const state_memory memory = {state, (uint8_t *)((header *)state + 1), open};
    const scratch s = carve(layer, buffer);
    if (memory.head->complete < layer->window_rows) { /* else no window covers it */
        take_row(layer, &memory, memory.head->rows, row, channel_stride, &s);
        memory.head->rows++;
    }
}

void rnp_rnnpool_give(const rnp_rnnpool *layer, void *state, void *open, uint8_t *out, void *buffer) {
    const state_memory memory = {state, (uint8_t *)((header *)state + 1), open};
    const scratch s = carve(layer, buffer);
    finish_windows(layer, &memory, out, &s);
    move_up(layer, &memory);
    rnp_pad_row(out, layer->stride_out, 4 * layer->hidden2, layer->windows, layer->zero_point_out);
}
