/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/planes_avx512.c: products with bit planes, a line of 64 bytes in one register. Bits are counted by a byte shuffle:
 * VPOPCNTB needs AVX-512 BITALG, which the tiers do not ask for. */
#include <immintrin.h>

#include "base/job.h"
#include "kernel/planes.h"

#define VI static inline __attribute__((always_inline))
#define HALVES 1
typedef __m512i vi;
typedef __m512 vf;

static const uint8_t bit_counts[16] = { 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4 };

VI vi vi_zero(void) { return _mm512_setzero_si512(); }
VI vi vi_set8(char x) { return _mm512_set1_epi8(x); }
VI vi vi_set16(int16_t x) { return _mm512_set1_epi16(x); }
VI vi vi_set32(int32_t x) { return _mm512_set1_epi32(x); }
VI vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
VI void vi_store(void *p, vi a) { _mm512_storeu_si512(p, a); }
VI vi vi_bcast32(const uint32_t *p) { return _mm512_set1_epi32((int)*p); }
VI vi vi_bcast128(const uint8_t *p) { return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)p)); }
VI vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
VI vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
VI vi vi_shuffle(vi t, vi i) { return _mm512_shuffle_epi8(t, i); }
VI vi vi_add8(vi a, vi b) { return _mm512_add_epi8(a, b); }
VI vi vi_add16(vi a, vi b) { return _mm512_add_epi16(a, b); }
VI vi vi_add32(vi a, vi b) { return _mm512_add_epi32(a, b); }
VI vi vi_mul32(vi a, vi b) { return _mm512_mullo_epi32(a, b); }
VI vi vi_srl16(vi a, int n) { return _mm512_srli_epi16(a, (unsigned)n); }
VI vi vi_sra16(vi a, int n) { return _mm512_srai_epi16(a, (unsigned)n); }
VI vi vi_sll16(vi a, int n) { return _mm512_slli_epi16(a, (unsigned)n); }
VI vi vi_srl32(vi a, int n) { return _mm512_srli_epi32(a, (unsigned)n); }
VI vi vi_sra32(vi a, int n) { return _mm512_srai_epi32(a, (unsigned)n); }
VI vi vi_sll32(vi a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
VI vf vf_zero(void) { return _mm512_setzero_ps(); }
VI vf vf_set1(float x) { return _mm512_set1_ps(x); }
VI vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
VI void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
VI vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
VI vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
VI vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
VI vf vf_from(vi a) { return _mm512_cvtepi32_ps(a); }
VI vf vf_gather(const float *t, vi i) { return _mm512_i32gather_ps(i, t, 4); }

#include "kernel/x86/planes_x86.h"

const struct pare_plane_ops pare_plane_ops_avx512 = { PARE_TIER_AVX512, popcount, lookup, flookup, scale, ftable };
