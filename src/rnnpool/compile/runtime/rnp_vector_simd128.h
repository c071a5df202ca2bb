/* Four 32-bit lanes, or eight of 16 bits, of WebAssembly; its dot product of pairs is the Cortex-M4's SMLAD. */
#ifndef RNP_VECTOR_SIMD128_H
#define RNP_VECTOR_SIMD128_H

#include <stdint.h>
#include <wasm_simd128.h>

typedef v128_t rnp_vector;

static inline rnp_vector rnp_load(const void *from) {
    return wasm_v128_load(from);
}

static inline void rnp_store(void *to, rnp_vector v) {
    wasm_v128_store(to, v);
}

static inline rnp_vector rnp_splat(uint32_t word) {
    return wasm_i32x4_splat((int32_t)word);
}

/* The signed low byte of every 16-bit lane. */
static inline rnp_vector rnp_low_bytes(rnp_vector v) {
    return wasm_i16x8_shr(wasm_i16x8_shl(v, 8), 8);
}

/* sum + the dot products of pairs of 16-bit lanes. */
static inline rnp_vector rnp_add_dot(rnp_vector sum, rnp_vector v, rnp_vector w) {
    return wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(v, w));
}

/* (v - w) / 256 in 32-bit lanes, rounded down. */
static inline rnp_vector rnp_difference_high(rnp_vector v, rnp_vector w) {
    return wasm_i32x4_shr(wasm_i32x4_sub(v, w), 8);
}

#endif
