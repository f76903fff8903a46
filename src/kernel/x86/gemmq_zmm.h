/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/gemmq_zmm.h: 64-byte vectors for gemmq_tile.h, for both AVX-512 tiers. */
#ifndef PARE_KERNEL_X86_GEMMQ_ZMM_H
#define PARE_KERNEL_X86_GEMMQ_ZMM_H

#include <immintrin.h>
#include <string.h>

#include "kernel/gemmq_layout.h"

#define VI __m512i
#define VF __m512
#define VSTEP 64
#define PARTS 1
#define VIN static inline __attribute__((always_inline))

VIN VI vi_load(const void *p) { return _mm512_loadu_si512(p); }
VIN void vi_store(void *p, VI v) { _mm512_storeu_si512(p, v); }
VIN VI vi_set8(char c) { return _mm512_set1_epi8(c); }
VIN VI vi_set32(int32_t v) { return _mm512_set1_epi32(v); }
VIN VI vi_zero(void) { return _mm512_setzero_si512(); }
VIN VI vi_add(VI a, VI b) { return _mm512_add_epi32(a, b); }
VIN VI vi_mul(VI a, VI b) { return _mm512_mullo_epi32(a, b); }
VIN VI vi_pair_sums(const int32_t *p) /* p[2i] + p[2i + 1] */
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p + 16);

    return _mm512_add_epi32(_mm512_permutex2var_epi32(a, even, b), _mm512_permutex2var_epi32(a, _mm512_add_epi32(even, _mm512_set1_epi32(1)), b));
}
VIN VI vi_add8(VI a, VI b) { return _mm512_add_epi8(a, b); }
VIN VI vi_xor3(VI a, VI b, VI c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }
VIN VI vi_and(VI a, VI b) { return _mm512_and_si512(a, b); }
VIN VI vi_or_and(VI a, VI b, VI mask) { return _mm512_ternarylogic_epi32(a, b, mask, 0xf8); /* a | (b & mask) */ }
VIN VI vi_shuffle(VI table, VI i) { return _mm512_shuffle_epi8(table, i); }
VIN VI vi_lut(const int8_t *p) { return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)p)); }
#define vi_srl(v, n) _mm512_srli_epi16(v, n)
#define vi_sll(v, n) _mm512_slli_epi16(v, n)
VIN VF vf_zero(void) { return _mm512_setzero_ps(); }
VIN VF vf_load(const void *p) { return _mm512_loadu_ps(p); }
VIN void vf_store(float *p, VF v) { _mm512_storeu_ps(p, v); }
VIN VF vf_set1(float f) { return _mm512_set1_ps(f); }
VIN VF vf_add(VF a, VF b) { return _mm512_add_ps(a, b); }
VIN VF vf_mul(VF a, VF b) { return _mm512_mul_ps(a, b); }
VIN VF vf_fma(VF a, VF b, VF c) { return _mm512_fmadd_ps(a, b, c); }
VIN VF vf_fnma(VF a, VF b, VF c) { return _mm512_fnmadd_ps(a, b, c); }
VIN VF vf_bits(VI v) { return _mm512_castsi512_ps(v); }
VIN VF vf_from_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(p)); }
VIN VF vf_from_s8(const void *p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p))); }
VIN VF vf_from_u8(const void *p) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(p))); }
VIN VF vf_clean(VF v)
{
    return _mm512_mask_mov_ps(v, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), _mm512_castsi512_ps(_mm512_set1_epi32((int)PARE_NAN_BITS)));
}
/* four activations in every lane */
VIN VI vi_acts(const int8_t *x)
{
    int32_t v;

    memcpy(&v, x, sizeof v);
    return _mm512_set1_epi32(v);
}

#endif
