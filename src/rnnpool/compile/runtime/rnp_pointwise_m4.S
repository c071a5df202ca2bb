/* rnp_pointwise.h for Cortex-M4: 4 pixels x 2 channels in 8 accumulators, 0.75 instructions a multiply-add inside.
 *
 * Registers inside the loop
 *   r4-r7   256 * A + B of pixels 0-3        r0   tile       r2, r3  channel pairs of two pixels
 *   r8-r11  B of pixels 0-3                  r1   weights    r12     packed weights    lr  B's weights
 * Stack */
#include "rnp_config.h"
#if RNP_USE_M4_DSP

#define TILE 0        /* the tile's first byte */
#define TILE_END 4    /* and the byte after its last */
#define WEIGHTS_END 8 /* the word after the last pair of output channels */
#define ENTRY 12      /* where to enter the unrolled loop, so that it runs K / 4 chunks in all */
#define OUT 16
#define FRAME 24
#define ARGUMENTS (FRAME + 36) /* behind the 9 registers pushed */

    .syntax unified
    .thumb
    .text

    /* One channel pair, its word in r12: 16 multiply-adds. */
    .macro pair
    ldrd    r2, r3, [r0], #8
    sxtb16  lr, r12
    smlad   r4, r2, r12, r4
    smlad   r8, r2, lr, r8
    smlad   r5, r3, r12, r5
    smlad   r9, r3, lr, r9
    ldrd    r2, r3, [r0], #8
    smlad   r6, r2, r12, r6
    smlad   r10, r2, lr, r10
    smlad   r7, r3, r12, r7
    smlad   r11, r3, lr, r11
    .endm

    /* The same where the accumulators hold nothing yet but r4 and r8 the biases. */
    .macro first_pair
    ldrd    r2, r3, [r0, #8]
    sxtb16  lr, r12
    smlad   r6, r2, r12, r4
    smlad   r10, r2, lr, r8
    smlad   r7, r3, r12, r4
    smlad   r11, r3, lr, r8
    ldrd    r2, r3, [r0], #16
    smlad   r5, r3, r12, r4
    smlad   r9, r3, lr, r8
    smlad   r4, r2, r12, r4
    smlad   r8, r2, lr, r8
    .endm

    /* 4 channels: 32 multiply-adds in 24 instructions, or in 29 with weights of 4 bits. */
    .macro chunk bits, pair=pair
    .if \bits == 8
    ldr     r12, [r1], #4
    \pair
    ldr     r12, [r1], #4
    pair
    .else
    ldr     r12, [r1]
    and     r12, r12, #0x0F0F0F0F
    sub     r12, r12, #0x07070707
    \pair
    ldr     r12, [r1], #4
    lsr     r12, r12, #4
    and     r12, r12, #0x0F0F0F0F
    sub     r12, r12, #0x07070707
    pair
    .endif
    .endm

    /* From the function's arguments to the frame. In: r0 tile, r1 weights, r2 K, r3 N, [sp] out. `before` chunks of 4
     * channels are computed before the loop. */
    .macro enter bits, before
    push    {r4-r11, lr}
    sub     sp, sp, #FRAME
    str     r0, [sp, #TILE]
    add     r4, r0, r2, lsl #3
    str     r4, [sp, #TILE_END]
    .if \bits == 8
    add     r4, r2, #8                  /* bytes of weights a pair of outputs: 2 K + 16, or K + 16; halved */
    .else
    mov     r4, #8
    add     r4, r4, r2, lsr #1
    .endif
    mul     r4, r4, r3                  /* times N */
    add     r4, r4, r1
    str     r4, [sp, #WEIGHTS_END]
    lsr     r4, r2, #2                  /* chunks of 4 channels: the first pass runs the remainder by 4, maybe none */
    .if \before
    sub     r4, r4, #\before
    .endif
    and     r4, r4, #3
    rsb     r4, r4, #4
    movs    r5, #(2f - 1f) / 4
    adr     r6, 1f
    mla     r4, r4, r5, r6
    orr     r4, r4, #1
    str     r4, [sp, #ENTRY]
    ldr     r4, [sp, #ARGUMENTS]
    str     r4, [sp, #OUT]
    .endm

    /* Adds the products of the other chunks to the accumulators. Advances r0 and r1. */
    .macro multiply bits
    ldr     pc, [sp, #ENTRY]
    .balign 4
1:  .rept 4
    chunk   \bits
    .endr
2:  ldr     lr, [sp, #TILE_END]
    cmp     r0, lr
    bne     1b
    .endm

    /* The product of one pair of output channels, requantised: A in r4-r7, B in r8-r11. Advances r1. */
    .macro product bits
3:  ldrd    r4, r8, [r1], #8
    ldr     r0, [sp, #TILE]
    chunk   \bits, first_pair
    multiply \bits
    ldrd    r2, r3, [r1], #8
    sub     r4, r4, r8
    sub     r5, r5, r9
    sub     r6, r6, r10
    sub     r7, r7, r11
    asr     r4, r4, #8
    asr     r5, r5, #8
    asr     r6, r6, #8
    asr     r7, r7, #8
    smmulr  r4, r4, r2
    smmulr  r5, r5, r2
    smmulr  r6, r6, r2
    smmulr  r7, r7, r2
    smmulr  r8, r8, r3
    smmulr  r9, r9, r3
    smmulr  r10, r10, r3
    smmulr  r11, r11, r3
    .endm

    /* Next pair of output channels, or return. */
    .macro leave
    ldr     r12, [sp, #WEIGHTS_END]
    cmp     r1, r12
    bne     3b
    add     sp, sp, #FRAME
    pop     {r4-r11, pc}
    .endm

    .macro to_row name, bits
    .section .text.\name, "ax"
    .balign 4
    .global \name
    .type   \name, %function
    .thumb_func
\name:
    enter   \bits, 1
    product \bits
    ldr     lr, [sp, #ARGUMENTS + 4]    /* channel_stride */
    ldr     r0, [sp, #OUT]
    pkhbt   r4, r4, r6, lsl #16         /* pixels 0 and 2 of A */
    pkhbt   r5, r5, r7, lsl #16         /* 1 and 3 */
    pkhbt   r8, r8, r10, lsl #16
    pkhbt   r9, r9, r11, lsl #16
    usat16  r4, #8, r4
    usat16  r5, #8, r5
    usat16  r8, #8, r8
    usat16  r9, #8, r9
    orr     r4, r4, r5, lsl #8
    orr     r8, r8, r9, lsl #8
    str     r4, [r0]
    str     r8, [r0, lr]
    add     r0, r0, lr, lsl #1
    str     r0, [sp, #OUT]
    leave
    .size   \name, . - \name
    .endm

    .macro to_tile name, bits
    .section .text.\name, "ax"
    .balign 4
    .global \name
    .type   \name, %function
    .thumb_func
\name:
    enter   \bits, 1
    product \bits
    ldr     r0, [sp, #OUT]
    pkhbt   r4, r4, r8, lsl #16         /* A and B of pixel 0 */
    pkhbt   r5, r5, r9, lsl #16
    pkhbt   r6, r6, r10, lsl #16
    pkhbt   r7, r7, r11, lsl #16
    usat16  r4, #8, r4
    usat16  r5, #8, r5
    usat16  r6, #8, r6
    usat16  r7, #8, r7
    stmia   r0!, {r4-r7}
    str     r0, [sp, #OUT]
    leave
    .size   \name, . - \name
    .endm

    to_row  rnp_pointwise_row, 8
    to_row  rnp_pointwise_row_4, 4
    to_tile rnp_pointwise_tile, 8
    to_tile rnp_pointwise_tile_4, 4

    .section .text.rnp_pointwise_i16, "ax"
    .balign 4
    .global rnp_pointwise_i16
    .type   rnp_pointwise_i16, %function
    .thumb_func
rnp_pointwise_i16:
    enter   8, 1
    product 8
    ldr     lr, [sp, #ARGUMENTS + 4]    /* pixel_stride, in int16_t */
    ldr     r0, [sp, #OUT]
    ssat    r4, #16, r4
    ssat    r5, #16, r5
    ssat    r6, #16, r6
    ssat    r7, #16, r7
    ssat    r8, #16, r8
    ssat    r9, #16, r9
    ssat    r10, #16, r10
    ssat    r11, #16, r11
    pkhbt   r4, r4, r8, lsl #16
    pkhbt   r5, r5, r9, lsl #16
    pkhbt   r6, r6, r10, lsl #16
    pkhbt   r7, r7, r11, lsl #16
    str     r4, [r0], #4
    str     r0, [sp, #OUT]
    sub     r0, r0, #4
    str     r5, [r0, lr, lsl #1]
    add     r0, r0, lr, lsl #2
    str     r6, [r0]
    str     r7, [r0, lr, lsl #1]
    leave
    .size   rnp_pointwise_i16, . - rnp_pointwise_i16

    .section .text.rnp_pointwise_sums, "ax"
    .balign 4
    .global rnp_pointwise_sums
    .type   rnp_pointwise_sums, %function
    .thumb_func
rnp_pointwise_sums:
    enter   8, 0
3:  ldr     lr, [sp, #OUT]
    ldr     r0, [sp, #TILE]
    ldmia   lr, {r4-r11}
    add     r1, r1, #8
    multiply 8
    ldr     r0, [sp, #OUT]
    add     r1, r1, #8
    stmia   r0!, {r4-r11}
    str     r0, [sp, #OUT]
    leave
    .size   rnp_pointwise_sums, . - rnp_pointwise_sums

#endif
