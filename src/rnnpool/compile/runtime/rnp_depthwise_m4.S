/* rnp_depthwise.h for Cortex-M4: 4 outputs of a channel at a time. Words of pixels split into (x0, x2) and (x1, x3);
 * SMLAD multiplies such a pair by (w0, w2), and the single products take w1 and what lies across two words.
 *
 * Registers inside the loop
 *   r0, r1, r2   the three rows          r8, r9, r10   (w0, w2) of each       r3, lr   pixels
 *   r4-r7        four accumulators       r11, r12      w1 of rows 0 and 1, of row 2 */
#include "rnp_config.h"
#if RNP_USE_M4_DSP

/* Fields of `arguments` in rnp_depthwise.c. */
#define ROWS 0
#define STRIDES 12
#define OUT 24
#define STRIDE_OUT 28
#define WEIGHTS 32
#define CHANNELS 36
#define ROW_BYTES 40

/* Frame */
#define ARGUMENTS 0
#define BIAS 4
#define MULTIPLIER 8 /* and the output's pointer in the next word */
#define POINTER 12
#define ROW_END 16
#define FRAME 24

    .syntax unified
    .thumb
    .text

    /* One row of the kernel, stride 1. w1half: the half of w1reg that holds w1. The first row adds to the bias in r7. */
    .macro row1 x, w02, w1reg, w1half, a0, a1, a2
    ldrb    r3, [\x, #-1]
    smlabb  r4, r3, \w02, \a0           /* x[-1] w0 */
    ldr     r3, [\x], #4
    uxtb16  lr, r3, ror #8              /* x1, x3 */
    uxtb16  r3, r3                      /* x0, x2 */
    smlab\w1half r4, r3, \w1reg, r4
    smlabt  r4, lr, \w02, r4
    smlad   r5, r3, \w02, \a1
    smlab\w1half r5, lr, \w1reg, r5
    smlad   r6, lr, \w02, \a2
    smlat\w1half r6, r3, \w1reg, r6
    smlatb  r7, r3, \w02, r7
    ldrb    r3, [\x]
    smlat\w1half r7, lr, \w1reg, r7
    smlabt  r7, r3, \w02, r7            /* x4 w2 */
    .endm

    /* One row of the kernel, stride 2: 8 pixels. */
    .macro row2 x, w02, w1reg, w1half, a0, a1, a2
    ldrb    r3, [\x, #-1]
    smlabb  r4, r3, \w02, \a0
    ldr     r3, [\x], #4
    uxtb16  lr, r3, ror #8              /* x1, x3 */
    uxtb16  r3, r3                      /* x0, x2 */
    smlab\w1half r4, r3, \w1reg, r4
    smlabt  r4, lr, \w02, r4
    smlad   r5, lr, \w02, \a1
    smlat\w1half r5, r3, \w1reg, r5
    smlatb  r6, lr, \w02, \a2
    ldr     r3, [\x], #4
    uxtb16  lr, r3, ror #8              /* x5, x7 */
    uxtb16  r3, r3                      /* x4, x6 */
    smlab\w1half r6, r3, \w1reg, r6
    smlabt  r6, lr, \w02, r6
    smlad   r7, lr, \w02, r7
    smlat\w1half r7, r3, \w1reg, r7
    .endm

    .macro depthwise name, row
    .section .text.\name, "ax"
    .balign 4
    .global \name
    .type   \name, %function
    .thumb_func
\name:
    push    {r4-r11, lr}
    sub     sp, sp, #FRAME
    str     r0, [sp, #ARGUMENTS]
1:  /* a channel: its weights, bias, multiplier */
    ldr     r4, [r0, #WEIGHTS]
    ldmia   r4!, {r5-r7, r11}
    str     r4, [r0, #WEIGHTS]
    and     r12, r5, #0xFF000000        /* the multiplier's bytes */
    lsr     r8, r6, #24
    orr     r12, r12, r8, lsl #16
    lsr     r8, r7, #24
    orr     r12, r12, r8, lsl #8
    strd    r11, r12, [sp, #BIAS]
    sxtb16  r8, r5
    sxtb16  r9, r6
    sxtb16  r10, r7
    sxtb16  r11, r5, ror #8
    sxtb16  r6, r6, ror #8
    sxtb16  r12, r7, ror #8
    pkhbt   r11, r11, r6, lsl #16
    ldrd    r4, r5, [r0, #OUT]          /* and stride_out */
    str     r4, [sp, #POINTER]
    add     r4, r4, r5
    str     r4, [r0, #OUT]
    ldr     lr, [r0, #ROW_BYTES]
    mov     r3, r0
    ldmia   r3, {r0-r2, r4-r6}          /* rows and strides */
    add     r4, r4, r0
    add     r5, r5, r1
    add     r6, r6, r2
    stmia   r3, {r4-r6}
    add     lr, lr, r0
    str     lr, [sp, #ROW_END]
2:  /* 4 pixels */
    ldr     r7, [sp, #BIAS]
    \row    r0, r8, r11, b, r7, r7, r7
    \row    r1, r9, r11, t, r4, r5, r6
    \row    r2, r10, r12, b, r4, r5, r6
    ldrd    r3, lr, [sp, #MULTIPLIER]   /* and POINTER */
    smmulr  r4, r4, r3
    smmulr  r5, r5, r3
    smmulr  r6, r6, r3
    smmulr  r7, r7, r3
    pkhbt   r4, r4, r6, lsl #16
    pkhbt   r5, r5, r7, lsl #16
    usat16  r4, #8, r4
    usat16  r5, #8, r5
    orr     r4, r4, r5, lsl #8
    str     r4, [lr], #4
    str     lr, [sp, #POINTER]
    ldr     r3, [sp, #ROW_END]
    cmp     r0, r3
    bne     2b
    ldr     r0, [sp, #ARGUMENTS]
    ldr     r4, [r0, #CHANNELS]
    subs    r4, r4, #1
    str     r4, [r0, #CHANNELS]
    bne     1b
    add     sp, sp, #FRAME
    pop     {r4-r11, pc}
    .size   \name, . - \name
    .endm

    depthwise rnp_depthwise_stride1_m4, row1
    depthwise rnp_depthwise_stride2_m4, row2

#endif
