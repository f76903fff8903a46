/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/peak_vnni.c: the integer peak with vpdpbusd. */
#include "kernel/x86/peak_zmm.h"

static uint64_t int8_probe(uint64_t steps, int seed)
{
    __m512i w = _mm512_set1_epi8((char)seed), x = _mm512_set1_epi8(3), acc[CHAINS];

#pragma GCC unroll 16
    for (int i = 0; i < CHAINS; i++) acc[i] = _mm512_set1_epi32(i);
    while (steps-- > 0) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) acc[i] = _mm512_dpbusd_epi32(acc[i], w, x);
        __asm__ volatile("" : "+v"(w)); /* the next step's codes might be others: nothing may be folded */
    }
#pragma GCC unroll 16
    for (int i = 1; i < CHAINS; i++) acc[0] = _mm512_xor_si512(acc[0], acc[i]);
    return (uint64_t)_mm512_reduce_add_epi64(acc[0]);
}

const struct pare_probes pare_probes_vnni = {
    .int8_per_step = CHAINS * 128, .f32_per_step = CHAINS * 32, .int8 = int8_probe, .f32 = f32_probe, .read = read_probe,
};
