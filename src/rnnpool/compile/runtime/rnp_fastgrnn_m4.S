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

#define STATE 0
#define STATE_END 4
#define ENTRY 8       /* of the first pair of 4 units; of the second in the next word */
#define P0 16         /* p0 and p1 of the next 4 units */
#define GATES 24
#define PLACE 28      /* old and new state of the next 4 units */
#define FRAME 40
#define ARGUMENTS (FRAME + 36)

    /* The accumulators' start: p * 2^14 of two units of both lanes, the first at byte \offset of p. */
    .macro start offset
    ldrd    r4, r5, [sp, #P0]
    mov     r3, #16384
    ldr     r6, [r4, #\offset]
    ldr     r7, [r5, #\offset]
    smulbb  r8, r6, r3
    smulbb  r9, r7, r3
    smultb  r10, r6, r3
    smultb  r11, r7, r3
    .endm

    /* From accumulators to states; the pair of units lies at byte \offset of p and of the lanes. */
    .macro finish offset
    ldr     r2, [sp, #GATES]
    usat    r8, #8, r8, asr #19
    usat    r9, #8, r9, asr #19
    usat    r10, #8, r10, asr #19
    usat    r11, #8, r11, asr #19
    .if     \offset
    add     r2, r2, #2048
    .endif
    add     r3, r2, #1024
    ldr     r8, [r2, r8, lsl #2]
    ldr     r9, [r2, r9, lsl #2]
    ldr     r10, [r3, r10, lsl #2]
    ldr     r11, [r3, r11, lsl #2]
    ldrd    r6, r7, [sp, #PLACE]
    ldr     r4, [r6, #\offset]          /* lane 0: units A and B before */
    ldr     r5, [r6, #8 + \offset]      /* lane 1 */
    smlabb  r8, r8, r4, r8              /* z h + (c * 2^15 + z) */
    smlabb  r9, r9, r5, r9
    smlabt  r10, r10, r4, r10
    smlabt  r11, r11, r5, r11
    asr     r8, r8, #15
    asr     r9, r9, #15
    pkhbt   r8, r8, r10, lsl #1
    pkhbt   r9, r9, r11, lsl #1
    str     r8, [r7, #\offset]
    str     r9, [r7, #8 + \offset]
    .endm

    /* To the next 4 units; r2 gates and r6, r7 places as finish left them. Loops to 3 until the states end. */
    .macro next_units
    ldrd    r4, r5, [sp, #P0]
    add     r2, r2, #2048
    str     r2, [sp, #GATES]
    adds    r4, r4, #8
    adds    r5, r5, #8
    strd    r4, r5, [sp, #P0]
    adds    r6, r6, #16
    adds    r7, r7, #16
    strd    r6, r7, [sp, #PLACE]
    ldr     r0, [sp, #STATE_END]
    cmp     r6, r0
    bne     3b
    add     sp, sp, #FRAME
    pop     {r4-r11, pc}
    .endm

    .section .text.rnp_fastgrnn_step, "ax"
    .balign 4
    .global rnp_fastgrnn_step
    .type   rnp_fastgrnn_step, %function
    .thumb_func
rnp_fastgrnn_step:                      /* r0 cell, r1 p0, r2 p1, r3 state, [sp] next */
    push    {r4-r11, lr}
    sub     sp, sp, #FRAME
    strd    r1, r2, [sp, #P0]
    ldmia   r0, {r0, r1, r7}            /* units, hidden, gates */
    ldr     r4, [sp, #ARGUMENTS]
    str     r7, [sp, #GATES]
    strd    r3, r4, [sp, #PLACE]
    str     r3, [sp, #STATE]
    add     r3, r3, r0, lsl #2
    str     r3, [sp, #STATE_END]
    cmp     r0, #16
    beq     .Lsixteen_units
    entry_address r0
    str     r4, [sp, #ENTRY]
    adr     r5, 4f                      /* where the second pair's loop starts */
    sub     r4, r4, r6
    add     r4, r4, r5
    str     r4, [sp, #ENTRY + 4]
3:  start   0
    quads   STATE, ENTRY
    ldr     r2, [sp, #STATE_END]
    cmp     r0, r2
    bne     1b
    finish  0
    start   4
    ldr     r0, [sp, #STATE]
    ldr     pc, [sp, #ENTRY + 4]
    .balign 4
4:  .rept   4
    quad
    .endr
    ldr     r2, [sp, #STATE_END]
    cmp     r0, r2
    bne     4b
    finish  4
    next_units

.Lsixteen_units:                          /* the usual number, without a loop over the inputs */
3:  start   0
    ldr     r0, [sp, #STATE]
    .rept   4
    quad
    .endr
    finish  0
    start   4
    ldr     r0, [sp, #STATE]
    .rept   4
    quad
    .endr
    finish  4
    next_units
    .size   rnp_fastgrnn_step, . - rnp_fastgrnn_step

#define BIAS 24
#define UNITS 28

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
