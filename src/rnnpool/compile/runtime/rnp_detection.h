/* What a detector found. */
#ifndef RNP_DETECTION_H
#define RNP_DETECTION_H

#include <stdint.h>

#define RNP_DETECTION_PIXEL 16    /* units of a corner in a pixel */
#define RNP_DETECTION_SCORE 32768 /* the score of 1 */

typedef struct {
    int16_t x1, y1, x2, y2; /* left, top, right and bottom in 1/16 pixel of the image; may lie outside of it */
    uint16_t score;         /* 0..32768 */
    uint16_t cell;          /* which cell of the output maps said so: output by output, row by row, from 0 */
} rnp_detection;

#endif
