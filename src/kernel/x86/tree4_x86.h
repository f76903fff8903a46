/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/tree4_x86.h: the tree of the 16-lane rule for four outputs at once. Inputs are the first level already added:
 * eight lanes l[i] + l[i + 8] of each output. The remaining levels pair the same lanes as the scalar tree does. */
#ifndef PARE_KERNEL_X86_TREE4_H
#define PARE_KERNEL_X86_TREE4_H

#include <immintrin.h>

static inline __attribute__((always_inline)) __m128 tree4(__m256 a, __m256 b, __m256 c, __m256 d)
{
    __m256 ab = _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31)); /* l[i] + l[i + 4] */
    __m256 cd = _mm256_add_ps(_mm256_permute2f128_ps(c, d, 0x20), _mm256_permute2f128_ps(c, d, 0x31));
    __m256 t = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));        /* l[i] + l[i + 2] */

    t = _mm256_add_ps(t, _mm256_movehdup_ps(t)); /* l[0] + l[1], now at 0 (a), 2 (c), 4 (b), 6 (d) */
    return _mm256_castps256_ps128(_mm256_permutevar8x32_ps(t, _mm256_setr_epi32(0, 4, 2, 6, 0, 4, 2, 6)));
}

#endif
