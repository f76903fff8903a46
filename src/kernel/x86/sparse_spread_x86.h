/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/sparse_spread_x86.h: where the packed bytes of a mask go, by arithmetic in one 64-bit register: no table to load. */
#ifndef PARE_KERNEL_X86_SPARSE_SPREAD_X86_H
#define PARE_KERNEL_X86_SPARSE_SPREAD_X86_H

#include <immintrin.h>
#include <stdint.h>

#define SPREAD static inline __attribute__((always_inline))

/* Byte i is 1 where bit i of m (8 bits) is set. */
SPREAD uint64_t spread_ones(uint64_t m)
{
    const uint64_t x = (m * 0x0101010101010101u) & 0x8040201008040201u;

    return (x + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u; /* a byte is at most 0x80, so nothing carries */
}
/* Byte i: how many bits of m below i are set. ones: spread_ones(m). */
SPREAD uint64_t spread_before(uint64_t ones) { return ones * 0x0101010101010101u - ones; }

/* Sixteen codes from *p on (kept with their top bit turned) where the mask is set, 0 elsewhere; *p moves behind them. */
SPREAD __m128i spread_sixteen(const uint8_t **p, uint32_t m)
{
    const uint64_t a = spread_ones(m & 0xff), b = spread_ones(m >> 8), all = 0x0101010101010101u;
    const uint64_t ia = spread_before(a) | (all - a) << 7, ib = spread_before(b) | (all - b) << 7; /* bit 7: shuffle gives 0 */
    const __m128i  top = _mm_set1_epi8(-128);
    const __m128i  lo = _mm_shuffle_epi8(_mm_xor_si128(_mm_loadl_epi64((const __m128i *)(const void *)*p), top), _mm_cvtsi64_si128((long long)ia));
    const uint8_t *next = *p + __builtin_popcount(m & 0xff);
    const __m128i  hi = _mm_shuffle_epi8(_mm_xor_si128(_mm_loadl_epi64((const __m128i *)(const void *)next), top), _mm_cvtsi64_si128((long long)ib));

    *p = next + __builtin_popcount(m >> 8);
    return _mm_unpacklo_epi64(lo, hi);
}

#endif
