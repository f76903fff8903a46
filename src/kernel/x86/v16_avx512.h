/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/v16_avx512.h: sixteen f32 lanes in one zmm register. vec_recipes.h is written in these words; v16_avx2.h says
 * the same in two ymm registers. Comparisons keep the operand order of the plain C: the first operand wins when it compares. */
#ifndef PARE_KERNEL_X86_V16_AVX512_H
#define PARE_KERNEL_X86_V16_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#include "kernel/x86/tree4_x86.h"

#define V16 static inline __attribute__((always_inline))
typedef __m512 v16;

V16 __mmask16 first(uint32_t n) { return (__mmask16)((1u << n) - 1u); }

V16 v16  v_set1(float x) { return _mm512_set1_ps(x); }
V16 v16  v_load(const float *p) { return _mm512_loadu_ps(p); }
V16 void v_store(float *p, v16 a) { _mm512_storeu_ps(p, a); }
/* The first n < 16 lanes; the others are 0 and their memory is not touched. */
V16 v16  v_load_n(const float *p, uint32_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
V16 void v_store_n(float *p, v16 a, uint32_t n) { _mm512_mask_storeu_ps(p, first(n), a); }
V16 v16  v_keep(v16 was, v16 now, uint32_t n) { return _mm512_mask_mov_ps(was, first(n), now); }

V16 v16 v_add(v16 a, v16 b) { return _mm512_add_ps(a, b); }
V16 v16 v_sub(v16 a, v16 b) { return _mm512_sub_ps(a, b); }
V16 v16 v_mul(v16 a, v16 b) { return _mm512_mul_ps(a, b); }
V16 v16 v_div(v16 a, v16 b) { return _mm512_div_ps(a, b); }
V16 v16 v_fma(v16 a, v16 b, v16 c) { return _mm512_fmadd_ps(a, b, c); }
V16 v16 v_max(v16 a, v16 b) { return _mm512_max_ps(a, b); } /* a > b ? a : b */
V16 v16 v_min(v16 a, v16 b) { return _mm512_min_ps(a, b); } /* a < b ? a : b */
V16 v16 v_abs(v16 a) { return _mm512_abs_ps(a); }
V16 v16 v_sign_of(v16 a, v16 x) { return _mm512_or_ps(_mm512_abs_ps(a), _mm512_and_ps(x, _mm512_set1_ps(-0.0f))); }
V16 v16 v_select_lt(v16 a, v16 b, v16 yes, v16 no) { return _mm512_mask_mov_ps(no, _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), yes); }
V16 v16 v_zero_nan(v16 a) { return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, a, _CMP_ORD_Q), a); }
V16 int v_any_nan(v16 a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q) != 0; }

/* Lanes of x that are not above lo are left out, or raised to it. */
typedef __mmask16 v_kept;
V16 v16 v_floor_of(v16 x, float lo, v_kept *kept)
{
    *kept = _mm512_cmp_ps_mask(x, _mm512_set1_ps(lo), _CMP_NLE_UQ);
    return x;
}
/* p * 2^n, one rounding, and 0 in lanes that are left out: a product below all denormal numbers costs two hundred cycles, and attention
 * asks for exp(-inf) wherever a key is not visible. t holds n in its low bits, which the two-register tier uses. */
V16 v16 v_ldexp(v16 p, v16 n, v16 t, v_kept kept)
{
    (void)t;
    return _mm512_maskz_scalef_ps(kept, p, n);
}

V16 v16   v_gather(const float *t, v16 i) { return _mm512_i32gather_ps(_mm512_cvttps_epi32(i), t, 4); } /* t[(int)i] */
V16 float v_top(v16 a) { return _mm512_reduce_max_ps(a); } /* the largest; lanes are numbers */
V16 float v_tree(v16 a)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    return _mm_cvtss_f32(tree4(h, h, h, h));
}
V16 __m128 v_tree4(v16 a, v16 b, v16 c, v16 d)
{
    return tree4(_mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1)),
                 _mm256_add_ps(_mm512_castps512_ps256(b), _mm512_extractf32x8_ps(b, 1)),
                 _mm256_add_ps(_mm512_castps512_ps256(c), _mm512_extractf32x8_ps(c, 1)),
                 _mm256_add_ps(_mm512_castps512_ps256(d), _mm512_extractf32x8_ps(d, 1)));
}

V16 v16 v_load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
V16 v16 v_load_f16_n(const void *p, uint32_t n) { return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(n), p)); }
V16 v16 v_bf16(__m256i h) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16)); }
V16 v16 v_load_bf16(const void *p) { return v_bf16(_mm256_loadu_si256((const __m256i *)p)); }
V16 v16 v_load_bf16_n(const void *p, uint32_t n) { return v_bf16(_mm256_maskz_loadu_epi16(first(n), p)); }
/* Sixteen signed bytes. */
V16 v16  v_from_i8(__m128i b) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(b)); }
V16 v16  v_load_i8(const void *p) { return v_from_i8(_mm_loadu_si128((const __m128i *)p)); }
V16 void v_store_f16(uint16_t *p, v16 a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
/* The low bytes of the sixteen bit patterns. */
V16 void v_store_low8(uint8_t *p, v16 a) { _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(_mm512_castps_si512(a))); }

/* Pairs c, s, c, s ... apart: 32 floats from p. */
V16 void v_load_pairs(const float *p, v16 *c, v16 *s)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    __m512 a = _mm512_loadu_ps(p), b = _mm512_loadu_ps(p + 16);

    *c = _mm512_permutex2var_ps(a, even, b);
    *s = _mm512_permutex2var_ps(a, _mm512_add_epi32(even, _mm512_set1_epi32(1)), b);
}
V16 v16 v_dup_even(v16 a) { return _mm512_moveldup_ps(a); }
V16 v16 v_dup_odd(v16 a) { return _mm512_movehdup_ps(a); }
V16 v16 v_swap_pairs(v16 a) { return _mm512_permute_ps(a, 0xb1); }
/* a - b in even lanes, a + b in odd ones. */
V16 v16 v_sub_add(v16 a, v16 b) { return _mm512_mask_sub_ps(_mm512_add_ps(a, b), 0x5555, a, b); }

/* a0 b0 a1 b1 ... of the first eight lanes, and of the last eight. */
V16 v16 v_zip_lo(v16 a, v16 b)
{
    return _mm512_permutex2var_ps(a, _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), b);
}
V16 v16 v_zip_hi(v16 a, v16 b)
{
    return _mm512_permutex2var_ps(a, _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31), b);
}
/* The bits of a with those of mask replaced by tag's. */
V16 v16 v_tag(v16 a, int32_t mask, int32_t tag)
{
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(a), _mm512_set1_epi32(mask), _mm512_set1_epi32(tag), 0xba)); /* (a & ~mask) | tag */
}
/* acc << n, and a's bits of mask below. */
V16 v16 v_push(v16 acc, v16 a, int n, int32_t mask)
{
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_sll_epi32(_mm512_castps_si512(acc), _mm_cvtsi32_si128(n)), _mm512_castps_si512(a),
                                                         _mm512_set1_epi32(mask), 0xf8));
}

/* The four Walsh stages inside a vector, 1, 2, 4 and 8 apart. A factor of +-1 rounds nothing, so the fused form is u + v and u - v. */
V16 v16 v_walsh(v16 x)
{
    const __m512 s1 = _mm512_setr_ps(1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1);
    const __m512 s2 = _mm512_setr_ps(1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1);
    const __m512 s4 = _mm512_setr_ps(1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1);
    const __m512 s8 = _mm512_setr_ps(1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1);

    x = _mm512_fmadd_ps(x, s1, _mm512_permute_ps(x, 0xb1));
    x = _mm512_fmadd_ps(x, s2, _mm512_permute_ps(x, 0x4e));
    x = _mm512_fmadd_ps(x, s4, _mm512_shuffle_f32x4(x, x, 0xb1));
    return _mm512_fmadd_ps(x, s8, _mm512_shuffle_f32x4(x, x, 0x4e));
}


/* x[p[i]] for sixteen numbers in memory; those of 32 bits are below 2^31. */
V16 v16 v_gather_u16(const float *x, const void *p)
{
    return _mm512_i32gather_ps(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), x, 4);
}
V16 v16 v_gather_u32(const float *x, const void *p) { return _mm512_i32gather_ps(_mm512_loadu_si512(p), x, 4); }

#endif
