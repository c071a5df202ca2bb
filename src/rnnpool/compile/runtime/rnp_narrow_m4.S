/* The states of rnp_narrow.h for Cortex-M4: 8 at a time, by multiple loads and stores, which compilers do not make of it. */
#include "rnp_config.h"
#if RNP_USE_M4_DSP

    .syntax unified
    .thumb
    .text

    .section .text.rnp_narrow_states, "ax"
    .balign 4
    .global rnp_narrow_states
    .type   rnp_narrow_states, %function
    .thumb_func
rnp_narrow_states:                      /* r0 states, r1 count, r2 narrow */
    push    {r4-r6, lr}
1:  ldmia   r0!, {r3-r6}
    uxtb16  r3, r3, ror #8
    bic     r4, r4, #0x00FF00FF
    orr     r3, r3, r4
    uxtb16  r4, r5, ror #8
    bic     r6, r6, #0x00FF00FF
    orr     r4, r4, r6
    stmia   r2!, {r3, r4}
    subs    r1, r1, #8
    bgt     1b
    pop     {r4-r6, pc}
    .size   rnp_narrow_states, . - rnp_narrow_states

    .section .text.rnp_widen_states, "ax"
    .balign 4
    .global rnp_widen_states
    .type   rnp_widen_states, %function
    .thumb_func
rnp_widen_states:                       /* r0 narrow, r1 count, r2 states */
    push    {r4-r6, lr}
1:  ldmia   r0!, {r4, r6}
    uxtb16  r3, r4
    bic     r4, r4, #0x00FF00FF
    uxtb16  r5, r6
    bic     r6, r6, #0x00FF00FF
    lsl     r3, r3, #8
    lsl     r5, r5, #8
    orr     r3, r3, #0x00800080
    orr     r4, r4, #0x00800080
    orr     r5, r5, #0x00800080
    orr     r6, r6, #0x00800080
    stmia   r2!, {r3-r6}
    subs    r1, r1, #8
    bgt     1b
    pop     {r4-r6, pc}
    .size   rnp_widen_states, . - rnp_widen_states

#endif
