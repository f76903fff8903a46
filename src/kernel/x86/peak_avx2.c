/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/peak_avx2.c: integer peak (maddubs, madd, add), float peak and memory with 32-byte vectors. */
#include <immintrin.h>

#include "kernel/peak.h"

#define CHAINS 12 /* what 16 registers leave room for */

static uint64_t int8_probe(uint64_t steps, int seed)
{
    const __m256i ones = _mm256_set1_epi16(1), x = _mm256_set1_epi8(3);
    __m256i w = _mm256_set1_epi8((char)seed), acc[CHAINS];
    uint64_t out[4];

#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) acc[i] = _mm256_set1_epi32(i);
    while (steps-- > 0) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), ones));
            __asm__ volatile("" : "+x"(w)); /* or the same product would be taken once for all chains */
        }
    }
#pragma GCC unroll 12
    for (int i = 1; i < CHAINS; i++) acc[0] = _mm256_xor_si256(acc[0], acc[i]);
    _mm256_storeu_si256((__m256i *)(void *)out, acc[0]);
    return out[0] ^ out[1] ^ out[2] ^ out[3];
}

static float f32_probe(uint64_t steps, float seed)
{
    __m256 k = _mm256_set1_ps(0.999f), acc[CHAINS];
    const __m256 c = _mm256_set1_ps(seed);

#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; i++) acc[i] = _mm256_set1_ps(seed + (float)i);
    while (steps-- > 0) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) acc[i] = _mm256_fmadd_ps(acc[i], k, c);
        __asm__ volatile("" : "+x"(k)); /* nothing may be folded, and the chains stay in registers */
    }
#pragma GCC unroll 12
    for (int i = 1; i < CHAINS; i++) acc[0] = _mm256_add_ps(acc[0], acc[i]);
    return _mm256_cvtss_f32(acc[0]);
}

static uint64_t read_probe(const uint8_t *p, uint64_t bytes)
{
    __m256i acc[8];
    uint64_t out[4];

#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) acc[i] = _mm256_setzero_si256();
    for (const uint8_t *end = p + bytes; p < end; p += 256) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++) {
            if (i % 2 == 0) __builtin_prefetch(p + 4096 + 32 * i);
            acc[i] = _mm256_xor_si256(acc[i], _mm256_load_si256((const __m256i *)(const void *)(p + 32 * i)));
        }
    }
#pragma GCC unroll 8
    for (int i = 1; i < 8; i++) acc[0] = _mm256_xor_si256(acc[0], acc[i]);
    _mm256_storeu_si256((__m256i *)(void *)out, acc[0]);
    return out[0] ^ out[1] ^ out[2] ^ out[3];
}

const struct pare_probes pare_probes_avx2 = {
    .int8_per_step = CHAINS * 64, .f32_per_step = CHAINS * 16, .int8 = int8_probe, .f32 = f32_probe, .read = read_probe,
};
