/* What a program on the emulated board can ask for: host files, an instruction counter, its stack's high-water mark.
 *
 * Files go through ARM semihosting (Arm IHI 0068: "Semihosting for AArch32 and AArch64"), which QEMU answers. */
#ifndef RNP_BOARD_H
#define RNP_BOARD_H

#include <stddef.h>
#include <stdint.h>

/* Opens a host file and returns its handle, or -1. `write` creates or truncates it. */
int32_t board_open(const char *path, int write);

/* Reads up to `size` bytes; returns how many were read. */
size_t board_read(int32_t handle, void *data, size_t size);

/* Writes `size` bytes; returns how many were written. */
size_t board_write(int32_t handle, const void *data, size_t size);

void board_close(int32_t handle);

/* Prints a string on QEMU's standard output. */
void board_print(const char *text);

/* Ends the emulation with an exit status of 0 to 255. */
void board_exit(int status) __attribute__((noreturn));

/* Ticks since start-up; Machine.instructions() turns a difference of two into instructions. */
uint32_t board_ticks(void);

/* The most bytes of stack that were in use at once since start-up. */
uint32_t board_stack_used(void);

#endif
