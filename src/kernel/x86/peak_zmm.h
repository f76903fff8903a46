/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/peak_zmm.h: float and memory probes with 64-byte vectors, for both AVX-512 tiers. */
#ifndef PARE_KERNEL_X86_LIMITS_ZMM_H
#define PARE_KERNEL_X86_LIMITS_ZMM_H

#include <immintrin.h>

#include "kernel/peak.h"

#define CHAINS 16 /* independent chains: two units times a latency of four to five, with some to spare */

static float f32_probe(uint64_t steps, float seed)
{
    __m512 k = _mm512_set1_ps(0.999f), acc[CHAINS];
    const __m512 c = _mm512_set1_ps(seed);

#pragma GCC unroll 16
    for (int i = 0; i < CHAINS; i++) acc[i] = _mm512_set1_ps(seed + (float)i);
    while (steps-- > 0) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) acc[i] = _mm512_fmadd_ps(acc[i], k, c);
        __asm__ volatile("" : "+v"(k)); /* nothing may be folded, and the chains stay in registers */
    }
#pragma GCC unroll 16
    for (int i = 1; i < CHAINS; i++) acc[0] = _mm512_add_ps(acc[0], acc[i]);
    return _mm512_reduce_add_ps(acc[0]);
}

static uint64_t read_probe(const uint8_t *p, uint64_t bytes)
{
    __m512i acc[8];

#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) acc[i] = _mm512_setzero_si512();
    for (const uint8_t *end = p + bytes; p < end; p += 512) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            __builtin_prefetch(p + 6144 + 64 * i, 0, 2); /* into the second level from far, into the first from near */
            __builtin_prefetch(p + 1024 + 64 * i, 0, 3);
            acc[i] = _mm512_xor_si512(acc[i], _mm512_load_si512(p + 64 * i));
        }
    }
#pragma GCC unroll 8
    for (int i = 1; i < 8; i++) acc[0] = _mm512_xor_si512(acc[0], acc[i]);
    return (uint64_t)_mm512_reduce_add_epi64(acc[0]);
}

#endif
