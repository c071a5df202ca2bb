/* What the runtime needs of the C library where there is none: WebAssembly copies and fills memory by instructions. */
#ifndef RNP_FREESTANDING_STRING_H
#define RNP_FREESTANDING_STRING_H

#include <stddef.h>

#define memcpy __builtin_memcpy
#define memmove __builtin_memmove
#define memset __builtin_memset

#endif
