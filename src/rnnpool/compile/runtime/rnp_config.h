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

#endif
