/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/sparse_avx512.c: sparse products without the dot instruction. */
#include "kernel/x86/sparse_spread_zmm.h"

#include "kernel/x86/sparse_float_x86.h"

V16 __m512i dot_unsigned(__m512i acc, __m512i u, __m512i q)
{
    return _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_maddubs_epi16(u, q), _mm512_set1_epi16(1)));
}
V16 __m512i dot_words(__m512i acc, __m512i z, __m512i v) { return _mm512_add_epi32(acc, _mm512_madd_epi16(z, v)); }

/* The sign of w goes to q: |w| q fits the unsigned-by-signed product, and two of them the 16 bits it adds them in (2 * 128 * 127). */
V16 __m512i dot_signed(__m512i acc, __m512i w, __m512i q)
{
    return dot_unsigned(acc, _mm512_abs_epi8(w), _mm512_mask_sub_epi8(q, _mm512_movepi8_mask(w), _mm512_setzero_si512(), q));
}
V16 int32_t mask_start(const int32_t sum16[2]) { return (void)sum16, 0; }
V16 __m512i mask_dot(__m512i acc, __m512i code, __m512i q) { return dot_signed(acc, code, q); }
V16 __m512i mask_codes(const uint8_t *p, uint64_t m) { return spread_bytes(p, m); }
V16 __m512i n24_input(__m512i q) { return q; }
V16 __m512i n24_dot(__m512i acc, __m512i code, __m512i q) { return dot_signed(acc, code, q); }
V16 __m512i n24_start(const __m512i code[4]) { return (void)code, _mm512_setzero_si512(); }

#include "kernel/x86/sparse_int_zmm.h"

SPARSE_TABLE(pare_sparse_avx512, 2);
