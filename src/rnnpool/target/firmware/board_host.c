/* board.h for the machine that compiles: files by stdio, and nothing to count. */
#include "board.h"

#include <stdio.h>
#include <stdlib.h>

static FILE *files[8];

int32_t board_open(const char *path, int write) {
    for (int32_t handle = 0; handle < 8; handle++) {
        if (files[handle] == NULL) {
            files[handle] = fopen(path, write ? "wb" : "rb");
            return files[handle] != NULL ? handle : -1;
        }
    }
    return -1;
}

size_t board_read(int32_t handle, void *data, size_t size) {
    return fread(data, 1, size, files[handle]);
}

size_t board_write(int32_t handle, const void *data, size_t size) {
    return fwrite(data, 1, size, files[handle]);
}

void board_close(int32_t handle) {
    (void)fclose(files[handle]);
    files[handle] = NULL;
}

void board_print(const char *text) {
    (void)fputs(text, stdout);
}

void board_exit(int status) {
    exit(status);
}

uint32_t board_ticks(void) {
    return 0;
}

uint32_t board_stack_used(void) {
    return 0;
}
