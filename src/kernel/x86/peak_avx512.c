/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/peak_avx512.c: the integer peak without VNNI: maddubs, madd, add. */
#include "kernel/x86/peak_zmm.h"

static uint64_t int8_probe(uint64_t steps, int seed)
{
    const __m512i ones = _mm512_set1_epi16(1), x = _mm512_set1_epi8(3);
    __m512i w = _mm512_set1_epi8((char)seed), acc[CHAINS];

#pragma GCC unroll 16
    for (int i = 0; i < CHAINS; i++) acc[i] = _mm512_set1_epi32(i);
    while (steps-- > 0) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) {
            acc[i] = _mm512_add_epi32(acc[i], _mm512_madd_epi16(_mm512_maddubs_epi16(w, x), ones));
            __asm__ volatile("" : "+v"(w)); /* or the same product would be taken once for all chains */
        }
    }
#pragma GCC unroll 16
    for (int i = 1; i < CHAINS; i++) acc[0] = _mm512_xor_si512(acc[0], acc[i]);
    return (uint64_t)_mm512_reduce_add_epi64(acc[0]);
}

const struct pare_probes pare_probes_avx512 = {
    .int8_per_step = CHAINS * 128, .f32_per_step = CHAINS * 32, .int8 = int8_probe, .f32 = f32_probe, .read = read_probe,
};
