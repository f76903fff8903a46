/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/sparse_dot_vnni.h: the dot instruction for sparse products. Its first factor is unsigned, so 128 is added to one side and
 * taken off again. */
#ifndef PARE_KERNEL_X86_SPARSE_DOT_VNNI_H
#define PARE_KERNEL_X86_SPARSE_DOT_VNNI_H

#include "kernel/x86/v16_avx512.h"

V16 __m512i dot_unsigned(__m512i acc, __m512i u, __m512i q) { return _mm512_dpbusd_epi32(acc, u, q); }
/* acc + z * v for numbers of 16 bits. */
V16 __m512i dot_words(__m512i acc, __m512i z, __m512i v) { return _mm512_dpwssd_epi32(acc, z, v); }

/* MASK: codes come with 128 added, removed ones as 128: what is too much is 128 times the sum over the block. */
V16 int32_t mask_start(const int32_t sum16[2]) { return -128 * (sum16[0] + sum16[1]); }
V16 __m512i mask_dot(__m512i acc, __m512i code, __m512i q) { return _mm512_dpbusd_epi32(acc, code, q); }

/* N24: activations get 128 added, since those that are wanted have no common sum; codes do. */
V16 __m512i n24_input(__m512i q) { return _mm512_xor_si512(q, _mm512_set1_epi8(-128)); }
V16 __m512i n24_dot(__m512i acc, __m512i code, __m512i q) { return _mm512_dpbusd_epi32(acc, q, code); }
V16 __m512i n24_start(const __m512i code[4])
{
    const __m512i bias = _mm512_set1_epi8(-128);
    __m512i       sum = _mm512_setzero_si512();

#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) sum = _mm512_dpbusd_epi32(sum, bias, code[v]);
    return _mm512_sub_epi32(_mm512_setzero_si512(), sum);
}

#endif
