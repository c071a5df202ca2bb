/* Which twin of the kernels is built; for C and for assembly. */
#ifndef RNP_CONFIG_H
#define RNP_CONFIG_H

/* 1: the assembly loops for Cortex-M4 and later cores with the DSP extension. 0: portable C99. */
#if !defined(RNP_USE_M4_DSP)
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
#define RNP_USE_M4_DSP 1
#else
#define RNP_USE_M4_DSP 0
#endif
#endif

/* 1: the same products for x86 in its oldest vectors, where the network runs on the machine that it was made on. */
#if !defined(RNP_USE_SSE2)
#if defined(__SSE2__)
#define RNP_USE_SSE2 1
#else
#define RNP_USE_SSE2 0
#endif
#endif

/* 1: the same products in WebAssembly's vectors, for browsers. */
#if !defined(RNP_USE_SIMD128)
#if defined(__wasm_simd128__)
#define RNP_USE_SIMD128 1
#else
#define RNP_USE_SIMD128 0
#endif
#endif

#endif
