/* Semihosting calls and the boards' counters. */
#include "board.h"

#include <string.h>

enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { MODE_READ_BINARY = 1, MODE_WRITE_BINARY = 5 };
#define APPLICATION_EXIT 0x20026u

static int32_t semihost(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

int32_t board_open(const char *path, int write) {
    const uintptr_t arguments[3] = {(uintptr_t)path, write ? MODE_WRITE_BINARY : MODE_READ_BINARY, strlen(path)};
    return semihost(SYS_OPEN, arguments);
}

size_t board_read(int32_t handle, void *data, size_t size) {
    const uintptr_t arguments[3] = {(uintptr_t)handle, (uintptr_t)data, size};
    return size - (size_t)semihost(SYS_READ, arguments); /* the call returns how many are missing */
}

size_t board_write(int32_t handle, const void *data, size_t size) {
    const uintptr_t arguments[3] = {(uintptr_t)handle, (uintptr_t)data, size};
    return size - (size_t)semihost(SYS_WRITE, arguments);
}

void board_close(int32_t handle) {
    (void)semihost(SYS_CLOSE, &handle);
}

void board_print(const char *text) {
    (void)semihost(SYS_WRITE0, text);
}

void board_exit(int status) {
    const uint32_t arguments[2] = {APPLICATION_EXIT, (uint32_t)status};
    for (;;) {
        (void)semihost(SYS_EXIT_EXTENDED, arguments);
    }
}

void board_start_counter(void);

#define REGISTER(address) (*(volatile uint32_t *)(address))

#if defined(RNP_BOARD_NETDUINOPLUS2) /* TIM2 of the STM32F405 (ST RM0090, section 18.4) */
void board_start_counter(void) {
    REGISTER(0x40000028u) = 0;           /* PSC: no prescaler */
    REGISTER(0x4000002Cu) = 0xFFFFFFFFu; /* ARR: the whole 32 bits */
    REGISTER(0x40000014u) = 1;           /* EGR: load both */
    REGISTER(0x40000000u) = 1;           /* CR1: count */
}

uint32_t board_ticks(void) {
    return REGISTER(0x40000024u); /* CNT */
}
#elif defined(RNP_BOARD_MPS2_AN386) /* CMSDK APB timer 0 (Arm DDI 0479, section 3.5), which counts down */
void board_start_counter(void) {
    REGISTER(0x40000008u) = 0xFFFFFFFFu; /* RELOAD */
    REGISTER(0x40000004u) = 0xFFFFFFFFu; /* VALUE */
    REGISTER(0x40000000u) = 1;           /* CTRL: enable */
}

uint32_t board_ticks(void) {
    return 0xFFFFFFFFu - REGISTER(0x40000004u);
}
#else
#error "define the board: RNP_BOARD_NETDUINOPLUS2 or RNP_BOARD_MPS2_AN386"
#endif
