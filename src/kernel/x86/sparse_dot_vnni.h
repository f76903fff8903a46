/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/sparse_dot_vnni.h: the dot instruction for sparse products. */
#ifndef PARE_KERNEL_X86_SPARSE_DOT_VNNI_H
#define PARE_KERNEL_X86_SPARSE_DOT_VNNI_H

#include "kernel/x86/v16_avx512.h"

V16 __m512i dot_unsigned(__m512i acc, __m512i u, __m512i q) { return _mm512_dpbusd_epi32(acc, u, q); }
/* The instruction's first factor is unsigned: q + 128 times w, less 128 times w. */
V16 __m512i dot_signed(__m512i acc, __m512i w, __m512i q)
{
    const __m512i bias = _mm512_set1_epi8(-128);

    return _mm512_sub_epi32(_mm512_dpbusd_epi32(acc, _mm512_xor_si512(q, bias), w), _mm512_dpbusd_epi32(_mm512_setzero_si512(), bias, w));
}

#endif
