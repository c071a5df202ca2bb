/* Vector table and reset of a Cortex-M4F: paint the stack, fill .data and .bss, switch the FPU on, run main. */
#include "board.h"

extern uint32_t rnp_stack_limit, rnp_stack_top, rnp_data_start, rnp_data_end, rnp_data_image, rnp_bss_start, rnp_bss_end;

int main(void);
void Reset_Handler(void);
void board_start_counter(void);

#define STACK_PAINT 0xC5C5C5C5u
#define FAULT_STATUS 139 /* as a shell reports a segmentation fault */

static void fault(void) {
    board_print("fault: the program left its memory or hit an undefined instruction\n");
    board_exit(FAULT_STATUS);
}

static void (*const vectors[16])(void) __attribute__((used, section(".vectors"))) = {
    (void (*)(void))&rnp_stack_top, Reset_Handler, fault, fault, fault, fault, fault,
};

__attribute__((naked)) void Reset_Handler(void) {
    /* In assembly, since painting must not touch a frame of its own. */
    __asm volatile(
        "ldr r0, =rnp_stack_limit\n"
        "ldr r1, =rnp_stack_top\n"
        "ldr r2, =%c0\n"
        "1: cmp r0, r1\n"
        "it lo\n"
        "strlo r2, [r0], #4\n"
        "blo 1b\n"
        "b board_start\n"
        :
        : "i"(STACK_PAINT));
}

__attribute__((used)) void board_start(void) {
    volatile uint32_t *const cpacr = (volatile uint32_t *)0xE000ED88u;
    *cpacr |= 0xFu << 20; /* full access to coprocessors 10 and 11, the FPU */
    const uint32_t *from = &rnp_data_image;
    for (uint32_t *to = &rnp_data_start; to < &rnp_data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &rnp_bss_start; to < &rnp_bss_end;) {
        *to++ = 0;
    }
    board_start_counter();
    board_exit(main());
}

uint32_t board_stack_used(void) {
    const uint32_t *word = &rnp_stack_limit;
    while (word < &rnp_stack_top && *word == STACK_PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)&rnp_stack_top - (uintptr_t)word);
}
