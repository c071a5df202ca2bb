/* From the output rows of a detector to its detections: decoding, the best cells, suppression and voting.
 *
 * Rows may come in any order, an output's in its own. A cell with the stored numbers q: scores, dx, dy, log width, log
 * height. Each is first n = rnp_requantise(256 q, multiplier of its channel). Then
 *
 *   margin = the last score, less the largest of the others if there are several     1/4096, logarithm to the base 2
 *   score  = 1 / (1 + 2^-margin)                                                      1/32768
 *   centre = stride * (column or row + 1/2) + offset                                  1/16 pixel, as all positions
 *   box    = centre -+ half * 2^(log size, cut to -limit..limit), cut to int16_t
 *
 * The `candidates` best cells are kept, in the array that receives the detections; of equal scores the first cell is
 * better. In the end, from the best on, each takes away those that overlap it by more than `iou` (shared area over the
 * area of both), and becomes the mean of itself and all that were taken away so far and overlap it by `vote` or more
 * (the 127 best of them), weighted by max(1, score / 128). */
#ifndef RNP_DETECT_H
#define RNP_DETECT_H

#include "rnp.h"
#include "rnp_detection.h"

#define RNP_DETECT_MOST 512     /* candidates */
#define RNP_DETECT_OVERLAP 1024 /* the overlap of 1 */

/* One output map. */
typedef struct {
    const int32_t *multipliers; /* [scores + 4] */
    int32_t scores;
    int32_t width;  /* cells of a row */
    int32_t step;   /* numbers from cell to cell */
    int32_t stride; /* pixels between cells */
    int32_t half;   /* below 2^15 */
    int32_t limit;  /* below 8 * 4096 */
    int32_t first;  /* number of the first cell; all are below 2^16 */
} rnp_detect_level;

typedef struct {
    const rnp_detect_level *levels;
    const uint16_t *powers; /* [33]: (2^(i / 32) - 1) * 32768 */
    int32_t candidates;     /* 1..RNP_DETECT_MOST */
    int32_t iou;
    int32_t vote; /* 0: boxes stay as they are */
} rnp_detect;

/* Takes a row of an output. `found` has room for `candidates`, `*count` is 0 before the first row. */
void rnp_detect_row(const rnp_detect *head, int32_t output, int32_t row, const int16_t *values, rnp_detection *found,
                    int32_t *count);

/* Turns the `count` candidates into detections of `threshold` and more, best first; returns how many there are. */
int32_t rnp_detect_finish(const rnp_detect *head, rnp_detection *found, int32_t count, int32_t threshold);

#endif
