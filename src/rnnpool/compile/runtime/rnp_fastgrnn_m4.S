/* rnp_fastgrnn.h for Cortex-M4: two units of two lanes in 4 accumulators, 0.625 instructions a multiply-add inside.
 *
 * Registers inside the loop
 *   r8-r11   unit A of lanes 0, 1; unit B of lanes 0, 1        r0        states
 *   r2-r5    4 weights of A, 4 of B                            r1        weights
 *   r6, r7, r12, lr   4 states of lane 0, 4 of lane 1 */
#include "rnp_config.h"
#if RNP_USE_M4_DSP

    .syntax unified
    .thumb
    .text

    /* 4 inputs of 2 units and 2 lanes. */
    .macro quad
    ldmia   r1!, {r2-r5}
    ldmia   r0!, {r6, r7, r12, lr}
    smlad   r8, r2, r6, r8
    smlad   r8, r3, r7, r8
    smlad   r9, r2, r12, r9
    smlad   r9, r3, lr, r9
    smlad   r10, r4, r6, r10
    smlad   r10, r5, r7, r10
    smlad   r11, r4, r12, r11
    smlad   r11, r5, lr, r11
    .endm

    /* All inputs, the loop entered so that its unrolled copies come out even. */
    .macro quads state, entry
    ldr     r0, [sp, #\state]
    ldr     pc, [sp, #\entry]
    .balign 4
1:  .rept 4
    quad
    .endr
2:
    .endm

    /* The address inside quads that runs the remainder of r2 / 4 by 4 first; uses r4-r6. */
    .macro entry_address units
    lsrs    r4, \units, #2
    ands    r4, r4, #3
    it      eq
    moveq   r4, #4
    rsb     r4, r4, #4
    movs    r5, #(2f - 1f) / 4
    adr     r6, 1f
    mla     r4, r4, r5, r6
    orr     r4, r4, #1
    .endm

#define TABLE 512     /* bytes of a unit's gates */

#define STATE 0       /* the first four words are loaded together */
#define SHIFT 4       /* 2^14, a multiplier */
#define P0 8          /* p0 and p1 */
#define NEXT 16       /* the new states, and the gates of the current pair of units in the next word */
#define GATES 20
#define STATE_END 24
#define ENTRY 28
#define OFFSET 32     /* of the current pair of units, in p */
#define FRAME 40
#define ARGUMENTS (FRAME + 36)

    .macro prepare                      /* r0 cell, r1 p0, r2 p1, r3 state, [sp] next */
    push    {r4-r11, lr}
    sub     sp, sp, #FRAME
    mov     r4, #16384
    strd    r3, r4, [sp, #STATE]
    strd    r1, r2, [sp, #P0]
    ldmia   r0, {r0, r1, r7}            /* units, hidden, gates */
    ldr     r6, [sp, #ARGUMENTS]
    strd    r6, r7, [sp, #NEXT]
    .endm

    /* p of two units in r6 (lane 0) and r7 -> accumulators. */
    .macro start
    smulbb  r8, r6, r3
    smulbb  r9, r7, r3
    smultb  r10, r6, r3
    smultb  r11, r7, r3
    .endm

    /* Accumulators -> table entries; r2 the gates of the first unit. */
    .macro look_up
    usat    r8, #7, r8, asr #20
    usat    r9, #7, r9, asr #20
    usat    r10, #7, r10, asr #20
    usat    r11, #7, r11, asr #20
    add     r3, r2, #TABLE
    ldr     r8, [r2, r8, lsl #2]
    ldr     r9, [r2, r9, lsl #2]
    ldr     r10, [r3, r10, lsl #2]
    ldr     r11, [r3, r11, lsl #2]
    .endm

    /* z h + (c * 2^15 + z), >> 15: entries and the old states r4 (lane 0), r5 -> r8 (lane 0), r9 */
    .macro mix
    smlabb  r8, r8, r4, r8
    smlabb  r9, r9, r5, r9
    smlabt  r10, r10, r4, r10
    smlabt  r11, r11, r5, r11
    asr     r8, r8, #15
    asr     r9, r9, #15
    pkhbt   r8, r8, r10, lsl #1
    pkhbt   r9, r9, r11, lsl #1
    .endm

    .section .text.rnp_fastgrnn_step, "ax"
    .balign 4
    .global rnp_fastgrnn_step
    .type   rnp_fastgrnn_step, %function
    .thumb_func
rnp_fastgrnn_step:
    prepare
    cmp     r0, #16
    beq     .Lsixteen
    ldr     r3, [sp, #STATE]
    add     r3, r3, r0, lsl #2
    str     r3, [sp, #STATE_END]
    mov     r3, #0
    str     r3, [sp, #OFFSET]
    entry_address r0
    str     r4, [sp, #ENTRY]
3:  ldmia   sp, {r0, r3-r5}             /* STATE, SHIFT, P0 */
    ldr     r2, [sp, #OFFSET]
    ldr     r6, [r4, r2]
    ldr     r7, [r5, r2]
    start
    quads   STATE, ENTRY
    ldr     r2, [sp, #STATE_END]
    cmp     r0, r2
    bne     1b
    ldrd    r6, r2, [sp, #NEXT]         /* and GATES */
    look_up
    add     r2, r2, #2 * TABLE
    str     r2, [sp, #GATES]
    ldr     r0, [sp, #STATE]
    ldr     r2, [sp, #OFFSET]           /* 4 units take 8 bytes of p, and 16 of a state with its lanes */
    and     r3, r2, #4
    sub     r7, r2, r3
    add     r7, r2, r7
    add     r0, r0, r7
    add     r6, r6, r7
    ldr     r4, [r0]
    ldr     r5, [r0, #8]
    mix
    str     r8, [r6]
    str     r9, [r6, #8]
    adds    r2, r2, #4
    str     r2, [sp, #OFFSET]
    adds    r0, r0, #12                 /* behind the last pair lies the end */
    ldr     r3, [sp, #STATE_END]
    cmp     r0, r3
    bne     3b
    add     sp, sp, #FRAME
    pop     {r4-r11, pc}

    /* The usual number of units: all offsets are constants. */
.Lsixteen:
    .set    .Lpair, 0
    .rept   8
    .set    .Lplace, (.Lpair / 2) * 16 + (.Lpair % 2) * 4
    ldmia   sp, {r0, r3-r5}             /* STATE, SHIFT, P0 */
    ldr     r6, [r4, #4 * .Lpair]
    ldr     r7, [r5, #4 * .Lpair]
    start
    .rept   4
    quad
    .endr
    ldrd    r6, r2, [sp, #NEXT]         /* and GATES */
    .if     .Lpair
    add     r2, r2, #2 * TABLE * .Lpair
    .endif
    look_up
    ldr     r0, [sp, #STATE]
    ldr     r4, [r0, #.Lplace]
    ldr     r5, [r0, #.Lplace + 8]
    mix
    str     r8, [r6, #.Lplace]
    str     r9, [r6, #.Lplace + 8]
    .set    .Lpair, .Lpair + 1
    .endr
    add     sp, sp, #FRAME
    pop     {r4-r11, pc}
    .size   rnp_fastgrnn_step, . - rnp_fastgrnn_step

    .section .text.rnp_fastgrnn_first, "ax"
    .balign 4
    .global rnp_fastgrnn_first
    .type   rnp_fastgrnn_first, %function
    .thumb_func
rnp_fastgrnn_first:                     /* r0 cell, r1 p0, r2 p1, r3 next */
    push    {r4-r11, lr}
    ldr     lr, [r0]
    ldr     r4, [r0, #8]
    add     lr, r1, lr, lsl #1          /* the end of p0 */
1:  .rept   2
    ldr     r6, [r1], #4
    ldr     r7, [r2], #4
    add     r5, r4, #TABLE
    sxth    r8, r6
    sxth    r9, r7
    usat    r10, #7, r6, asr #22        /* of the upper half: p >> 6 */
    usat    r11, #7, r7, asr #22
    usat    r8, #7, r8, asr #6
    usat    r9, #7, r9, asr #6
    ldr     r10, [r5, r10, lsl #2]
    ldr     r11, [r5, r11, lsl #2]
    ldr     r8, [r4, r8, lsl #2]
    ldr     r9, [r4, r9, lsl #2]
    add     r4, r4, #2 * TABLE
    asr     r8, r8, #15
    asr     r9, r9, #15
    pkhbt   r8, r8, r10, lsl #1
    pkhbt   r9, r9, r11, lsl #1
    str     r9, [r3, #8]
    str     r8, [r3], #4
    .endr
    adds    r3, r3, #8
    cmp     r1, lr
    bne     1b
    pop     {r4-r11, pc}
    .size   rnp_fastgrnn_first, . - rnp_fastgrnn_first

#define BIAS 32
#define UNITS 36

    .section .text.rnp_project_states, "ax"
    .balign 4
    .global rnp_project_states
    .type   rnp_project_states, %function
    .thumb_func
rnp_project_states:                     /* r0 projection, r1 state, r2 p0, r3 p1 */
    push    {r4-r11, lr}
    sub     sp, sp, #FRAME
    str     r1, [sp, #STATE]
    strd    r2, r3, [sp, #P0]
    ldmia   r0, {r2, r3, r7, r8}        /* units_in, units_out, weights, bias */
    add     r1, r1, r2, lsl #2
    str     r1, [sp, #STATE_END]
    str     r8, [sp, #BIAS]
    str     r3, [sp, #UNITS]
    entry_address r2
    str     r4, [sp, #ENTRY]
    mov     r1, r7
3:  ldr     r2, [sp, #BIAS]
    ldrd    r8, r10, [r2], #8
    str     r2, [sp, #BIAS]
    mov     r9, r8
    mov     r11, r10
    quads   STATE, ENTRY
    ldr     r2, [sp, #STATE_END]
    cmp     r0, r2
    bne     1b
    ldrd    r4, r5, [sp, #P0]
    pkhtb   r8, r10, r8, asr #16
    pkhtb   r9, r11, r9, asr #16
    str     r8, [r4], #4
    str     r9, [r5], #4
    strd    r4, r5, [sp, #P0]
    ldr     r7, [sp, #UNITS]
    subs    r7, r7, #2
    str     r7, [sp, #UNITS]
    bne     3b
    add     sp, sp, #FRAME
    pop     {r4-r11, pc}
    .size   rnp_project_states, . - rnp_project_states

#endif
