/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/sparse_spread_zmm.h: spreading with AVX-512F's expand, and bytes where there is no VBMI2. */
#ifndef PARE_KERNEL_X86_SPARSE_SPREAD_ZMM_H
#define PARE_KERNEL_X86_SPARSE_SPREAD_ZMM_H

#include "kernel/x86/sparse_spread_x86.h"
#include "kernel/x86/v16_avx512.h"

V16 v16 spread_f32(const uint8_t *p, uint32_t m) { return _mm512_maskz_expand_ps((__mmask16)m, _mm512_loadu_ps((const void *)p)); }
V16 v16 spread_f16(const uint8_t *p, uint32_t m) { return _mm512_maskz_expand_ps((__mmask16)m, v_load_f16(p)); }
/* Eight times eight codes. */
V16 __m512i spread_bytes(const uint8_t *p, uint64_t m)
{
    __m128i part[4];

#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) part[i] = spread_sixteen(&p, (uint32_t)(m >> (16 * i)) & 0xffff);
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_set_m128i(part[1], part[0])), _mm256_set_m128i(part[3], part[2]), 1);
}

#endif
