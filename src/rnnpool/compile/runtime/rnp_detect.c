/* Candidates as a heap whose root is the worst; sorted and thinned out in place. */
#include "rnp_detect.h"

enum { LOG_BITS = 12, SEGMENT_BITS = 7 };

/* 2^(fraction of log), 15 bits behind the point. */
static uint32_t mantissa(const uint16_t *powers, int32_t log) {
    const int32_t fraction = log & ((1 << LOG_BITS) - 1), segment = fraction >> SEGMENT_BITS;
    const uint32_t low = powers[segment], step = powers[segment + 1] - low;
    const uint32_t rest = (uint32_t)fraction & ((1u << SEGMENT_BITS) - 1);
    return 32768u + low + ((step * rest + (1u << (SEGMENT_BITS - 1))) >> SEGMENT_BITS);
}

/* unit * 2^log, log cut to -limit..limit. */
static int32_t scaled_power(const uint16_t *powers, int32_t unit, int32_t log, int32_t limit) {
    const int32_t cut = log < -limit ? -limit : log > limit ? limit : log;
    const int32_t shift = 15 - (cut >> LOG_BITS);
    return (int32_t)(((uint32_t)unit * mantissa(powers, cut) + (1u << (shift - 1))) >> shift);
}

static int32_t sigmoid(const uint16_t *powers, int32_t margin) {
    const int32_t log = margin < 0 ? margin : -margin;
    const int32_t shift = -(log >> LOG_BITS);
    const uint32_t other = (2u * mantissa(powers, log)) >> (shift < 31 ? shift : 31);
    const int32_t larger = (int32_t)(UINT32_C(0x80000000) / (65536u + other));
    return margin < 0 ? RNP_DETECTION_SCORE - larger : larger;
}

static int32_t number(const rnp_detect_level *level, const int16_t *values, int32_t channel) {
    return rnp_requantise(values[channel] * 256, level->multipliers[channel]);
}

static int worse(const rnp_detection *a, const rnp_detection *b) {
    return a->score < b->score || (a->score == b->score && a->cell > b->cell);
}

/* Puts `item` where `hole` is, in a heap of `count` that is in order below it. */
static void sift_down(rnp_detection *heap, int32_t count, int32_t hole, rnp_detection item) {
    for (int32_t child = 2 * hole + 1; child < count; child = 2 * hole + 1) {
        if (child + 1 < count && worse(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (!worse(&heap[child], &item)) {
            break;
        }
        heap[hole] = heap[child];
        hole = child;
    }
    heap[hole] = item;
}

static void sift_up(rnp_detection *heap, int32_t hole, rnp_detection item) {
    while (hole > 0 && worse(&item, &heap[(hole - 1) / 2])) {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap[hole] = item;
}

void rnp_detect_row(const rnp_detect *head, int32_t output, int32_t row, const int16_t *values, rnp_detection *found,
                    int32_t *count) {
    const rnp_detect_level *const level = &head->levels[output];
    const int32_t scores = level->scores, half_stride = level->stride * (RNP_DETECTION_PIXEL / 2);
    for (int32_t column = 0; column < level->width; column++) {
        int32_t margin = number(level, values, scores - 1);
        if (scores > 1) {
            int32_t others = number(level, values, 0);
            for (int32_t channel = 1; channel < scores - 1; channel++) {
                const int32_t other = number(level, values, channel);
                others = other > others ? other : others;
            }
            margin -= others;
        }
        rnp_detection item = {0, 0, 0, 0, (uint16_t)sigmoid(head->powers, margin),
                              (uint16_t)(level->first + row * level->width + column)};
        if (*count < head->candidates || worse(&found[0], &item)) {
            const int32_t x = half_stride * (2 * column + 1) + number(level, values, scores);
            const int32_t y = half_stride * (2 * row + 1) + number(level, values, scores + 1);
            const int32_t log_width = number(level, values, scores + 2), log_height = number(level, values, scores + 3);
            const int32_t half_width = scaled_power(head->powers, level->half, log_width, level->limit);
            const int32_t half_height = scaled_power(head->powers, level->half, log_height, level->limit);
            item.x1 = rnp_saturate_i16(x - half_width);
            item.y1 = rnp_saturate_i16(y - half_height);
            item.x2 = rnp_saturate_i16(x + half_width);
            item.y2 = rnp_saturate_i16(y + half_height);
            if (*count < head->candidates) {
                sift_up(found, (*count)++, item);
            } else {
                sift_down(found, *count, 0, item);
            }
        }
        values += level->step;
    }
}

static uint32_t area(int32_t x1, int32_t y1, int32_t x2, int32_t y2) {
    return (uint32_t)(x2 - x1) * (uint32_t)(y2 - y1);
}

static uint32_t shared_area(const rnp_detection *a, const rnp_detection *b) {
    const int32_t x1 = a->x1 > b->x1 ? a->x1 : b->x1, x2 = a->x2 < b->x2 ? a->x2 : b->x2;
    const int32_t y1 = a->y1 > b->y1 ? a->y1 : b->y1, y2 = a->y2 < b->y2 ? a->y2 : b->y2;
    return x1 < x2 && y1 < y2 ? area(x1, y1, x2, y2) : 0;
}

/* shared / union against threshold / RNP_DETECT_OVERLAP: below 0, 0 or above 0. */
static int compare_overlap(const rnp_detection *a, const rnp_detection *b, uint32_t shared, int32_t threshold) {
    const uint64_t both = (uint64_t)area(a->x1, a->y1, a->x2, a->y2) + area(b->x1, b->y1, b->x2, b->y2) - shared;
    const uint64_t part = (uint64_t)shared * RNP_DETECT_OVERLAP, whole = both * (uint32_t)threshold;
    return part < whole ? -1 : part > whole;
}

static int is_set(const uint32_t *bits, int32_t index) {
    return (int)((bits[index / 32] >> (index % 32)) & 1u);
}

/* round(sum / weight), halves upwards; |sum| < 2^31 - 2^15. */
static int16_t moved(int16_t from, int32_t sum, int32_t weight) {
    const int32_t raised = sum + weight / 2, quotient = raised / weight;
    return (int16_t)(from + quotient - (raised % weight < 0));
}

/* The mean of a box and those of the dropped ones that overlap it enough. */
static rnp_detection voted(const rnp_detect *head, const rnp_detection *found, int32_t count, const uint32_t *dropped,
                           int32_t index) {
    int32_t voters = 127; /* times 256 times 65535 is what 32 bits hold */
    rnp_detection box = found[index];
    int32_t x1 = 0, y1 = 0, x2 = 0, y2 = 0, total = box.score < 128 ? 1 : box.score >> 7;
    for (int32_t i = 0; i < count && voters > 0; i++) {
        const rnp_detection *const other = &found[i];
        const uint32_t shared = is_set(dropped, i) ? shared_area(&box, other) : 0;
        if (shared != 0 && compare_overlap(&box, other, shared, head->vote) >= 0) {
            const int32_t weight = other->score < 128 ? 1 : other->score >> 7;
            x1 += weight * (other->x1 - box.x1);
            y1 += weight * (other->y1 - box.y1);
            x2 += weight * (other->x2 - box.x2);
            y2 += weight * (other->y2 - box.y2);
            total += weight;
            voters--;
        }
    }
    box.x1 = moved(box.x1, x1, total);
    box.y1 = moved(box.y1, y1, total);
    box.x2 = moved(box.x2, x2, total);
    box.y2 = moved(box.y2, y2, total);
    return box;
}

int32_t rnp_detect_finish(const rnp_detect *head, rnp_detection *found, int32_t count, int32_t threshold) {
    uint32_t dropped[RNP_DETECT_MOST / 32] = {0};
    int32_t kept = 0;
    for (int32_t last = count - 1; last > 0; last--) { /* the worst goes behind the others */
        const rnp_detection worst = found[0];
        sift_down(found, last, 0, found[last]);
        found[last] = worst;
    }
    while (count > 0 && found[count - 1].score < threshold) {
        count--;
    }
    for (int32_t i = 0; i < count; i++) {
        if (is_set(dropped, i)) {
            continue;
        }
        for (int32_t j = i + 1; j < count; j++) {
            const uint32_t shared = is_set(dropped, j) ? 0 : shared_area(&found[i], &found[j]);
            if (shared != 0 && compare_overlap(&found[i], &found[j], shared, head->iou) > 0) {
                dropped[j / 32] |= UINT32_C(1) << (j % 32);
            }
        }
        if (head->vote != 0) {
            found[i] = voted(head, found, count, dropped, i);
        }
    }
    for (int32_t i = 0; i < count; i++) {
        if (!is_set(dropped, i)) {
            found[kept++] = found[i];
        }
    }
    return kept;
}
