/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/v16_avx2.h: sixteen f32 lanes in two ymm registers; the words are those of v16_avx512.h. */
#ifndef PARE_KERNEL_X86_V16_AVX2_H
#define PARE_KERNEL_X86_V16_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernel/x86/tree4_x86.h"

#define V16 static inline __attribute__((always_inline))
typedef struct { __m256 a, b; } v16; /* lanes 0..7, 8..15 */

/* Masks of the first n lanes are a window into this row. */
static const int32_t lanes[32] = { -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 };
V16 __m256i first_a(uint32_t n) { return _mm256_loadu_si256((const __m256i *)(const void *)(lanes + 16 - n)); }
V16 __m256i first_b(uint32_t n) { return _mm256_loadu_si256((const __m256i *)(const void *)(lanes + 24 - n)); }

V16 v16  v_set1(float x) { return (v16){ _mm256_set1_ps(x), _mm256_set1_ps(x) }; }
V16 v16  v_load(const float *p) { return (v16){ _mm256_loadu_ps(p), _mm256_loadu_ps(p + 8) }; }
V16 void v_store(float *p, v16 x)
{
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
V16 v16 v_load_n(const float *p, uint32_t n)
{
    /* A masked load does not touch what it leaves out, but an address past the object is only formed when it is needed. */
    return (v16){ _mm256_maskload_ps(p, first_a(n)), n > 8 ? _mm256_maskload_ps(p + 8, first_b(n)) : _mm256_setzero_ps() };
}
V16 void v_store_n(float *p, v16 x, uint32_t n)
{
    _mm256_maskstore_ps(p, first_a(n), x.a);
    if (n > 8) _mm256_maskstore_ps(p + 8, first_b(n), x.b);
}
V16 v16 v_keep(v16 was, v16 now, uint32_t n)
{
    return (v16){ _mm256_blendv_ps(was.a, now.a, _mm256_castsi256_ps(first_a(n))),
                  _mm256_blendv_ps(was.b, now.b, _mm256_castsi256_ps(first_b(n))) };
}

V16 v16 v_add(v16 x, v16 y) { return (v16){ _mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b) }; }
V16 v16 v_sub(v16 x, v16 y) { return (v16){ _mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b) }; }
V16 v16 v_mul(v16 x, v16 y) { return (v16){ _mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b) }; }
V16 v16 v_div(v16 x, v16 y) { return (v16){ _mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b) }; }
V16 v16 v_fma(v16 x, v16 y, v16 z) { return (v16){ _mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b) }; }
V16 v16 v_max(v16 x, v16 y) { return (v16){ _mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b) }; }
V16 v16 v_min(v16 x, v16 y) { return (v16){ _mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b) }; }
V16 v16 v_gather(const float *t, v16 i) /* t[(int)i] */
{
    return (v16){ _mm256_i32gather_ps(t, _mm256_cvttps_epi32(i.a), 4), _mm256_i32gather_ps(t, _mm256_cvttps_epi32(i.b), 4) };
}
V16 float v_top(v16 x) /* the largest; lanes are numbers */
{
    __m256 h = _mm256_max_ps(x.a, x.b);
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
V16 v16 v_abs(v16 x)
{
    __m256 s = _mm256_set1_ps(-0.0f);
    return (v16){ _mm256_andnot_ps(s, x.a), _mm256_andnot_ps(s, x.b) };
}
V16 v16 v_sign_of(v16 m, v16 x)
{
    __m256 s = _mm256_set1_ps(-0.0f);
    return (v16){ _mm256_or_ps(_mm256_andnot_ps(s, m.a), _mm256_and_ps(s, x.a)),
                  _mm256_or_ps(_mm256_andnot_ps(s, m.b), _mm256_and_ps(s, x.b)) };
}
V16 v16 v_select_lt(v16 x, v16 y, v16 yes, v16 no)
{
    return (v16){ _mm256_blendv_ps(no.a, yes.a, _mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ)),
                  _mm256_blendv_ps(no.b, yes.b, _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ)) };
}
V16 v16 v_zero_nan(v16 x)
{
    return (v16){ _mm256_and_ps(x.a, _mm256_cmp_ps(x.a, x.a, _CMP_ORD_Q)), _mm256_and_ps(x.b, _mm256_cmp_ps(x.b, x.b, _CMP_ORD_Q)) };
}
V16 int v_any_nan(v16 x)
{
    return (_mm256_movemask_ps(_mm256_cmp_ps(x.a, x.a, _CMP_UNORD_Q)) | _mm256_movemask_ps(_mm256_cmp_ps(x.b, x.b, _CMP_UNORD_Q))) != 0;
}

/* Two exact-then-rounded products, as the plain C does it: the integer of t in halves. */
V16 __m256 ldexp8(__m256 p, __m256 t)
{
    __m256i k = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_set1_epi32(0x4b400000)), h = _mm256_srai_epi32(k, 1);
    __m256i bias = _mm256_set1_epi32(127);

    p = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(h, bias), 23)));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(k, h), bias), 23)));
}
typedef v16 v_kept; /* all bits of a lane, or none */
V16 v16 v_floor_of(v16 x, float lo, v_kept *kept)
{
    const __m256 floor = _mm256_set1_ps(lo);

    *kept = (v16){ _mm256_cmp_ps(x.a, floor, _CMP_NLE_UQ), _mm256_cmp_ps(x.b, floor, _CMP_NLE_UQ) };
    return v_max(v_set1(lo), x);
}
V16 v16 v_ldexp(v16 p, v16 n, v16 t, v_kept kept)
{
    (void)n;
    return (v16){ ldexp8(_mm256_and_ps(p.a, kept.a), t.a), ldexp8(_mm256_and_ps(p.b, kept.b), t.b) };
}

V16 float v_tree(v16 x)
{
    __m256 h = _mm256_add_ps(x.a, x.b);
    return _mm_cvtss_f32(tree4(h, h, h, h));
}
V16 __m128 v_tree4(v16 x, v16 y, v16 z, v16 w)
{
    return tree4(_mm256_add_ps(x.a, x.b), _mm256_add_ps(y.a, y.b), _mm256_add_ps(z.a, z.b), _mm256_add_ps(w.a, w.b));
}

V16 __m256 f16x8(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
V16 __m256 bf16x8(const void *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
V16 v16 v_load_f16(const void *p) { return (v16){ f16x8(p), f16x8((const uint8_t *)p + 16) }; }
V16 v16 v_load_bf16(const void *p) { return (v16){ bf16x8(p), bf16x8((const uint8_t *)p + 16) }; }
/* There is no masked load of halves: the tail goes through a small copy. */
V16 v16 v_load_f16_n(const void *p, uint32_t n)
{
    uint16_t t[16] = { 0 };

    memcpy(t, p, n * sizeof *t);
    return v_load_f16(t);
}
V16 v16 v_load_bf16_n(const void *p, uint32_t n)
{
    uint16_t t[16] = { 0 };

    memcpy(t, p, n * sizeof *t);
    return v_load_bf16(t);
}
V16 v16 v_from_i8(__m128i q)
{
    return (v16){ _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q)), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(q, 8))) };
}
V16 v16  v_load_i8(const void *p) { return v_from_i8(_mm_loadu_si128((const __m128i *)p)); }
V16 void v_store_f16(uint16_t *p, v16 x)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_storeu_si128((__m128i *)(void *)(p + 8), _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
V16 void v_store_low8(uint8_t *p, v16 x)
{
    __m256i low = _mm256_set1_epi32(0xff);
    __m256i w = _mm256_packus_epi32(_mm256_and_si256(_mm256_castps_si256(x.a), low), _mm256_and_si256(_mm256_castps_si256(x.b), low));

    w = _mm256_permute4x64_epi64(w, 0xd8);
    _mm_storeu_si128((__m128i *)(void *)p, _mm_packus_epi16(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1)));
}

V16 void v_load_pairs(const float *p, v16 *c, v16 *s)
{
    for (int h = 0; h < 2; h++) {
        __m256 x = _mm256_loadu_ps(p + 16 * h), y = _mm256_loadu_ps(p + 16 * h + 8);
        __m256d e = _mm256_castps_pd(_mm256_shuffle_ps(x, y, 0x88)), o = _mm256_castps_pd(_mm256_shuffle_ps(x, y, 0xdd));
        __m256 ce = _mm256_castpd_ps(_mm256_permute4x64_pd(e, 0xd8)), so = _mm256_castpd_ps(_mm256_permute4x64_pd(o, 0xd8));

        if (h == 0) c->a = ce, s->a = so;
        else c->b = ce, s->b = so;
    }
}
V16 v16 v_dup_even(v16 x) { return (v16){ _mm256_moveldup_ps(x.a), _mm256_moveldup_ps(x.b) }; }
V16 v16 v_dup_odd(v16 x) { return (v16){ _mm256_movehdup_ps(x.a), _mm256_movehdup_ps(x.b) }; }
V16 v16 v_swap_pairs(v16 x) { return (v16){ _mm256_permute_ps(x.a, 0xb1), _mm256_permute_ps(x.b, 0xb1) }; }
V16 v16 v_sub_add(v16 x, v16 y) { return (v16){ _mm256_addsub_ps(x.a, y.a), _mm256_addsub_ps(x.b, y.b) }; }

V16 v16 zip8(__m256 x, __m256 y)
{
    __m256 l = _mm256_unpacklo_ps(x, y), h = _mm256_unpackhi_ps(x, y);

    return (v16){ _mm256_permute2f128_ps(l, h, 0x20), _mm256_permute2f128_ps(l, h, 0x31) };
}
V16 v16 v_zip_lo(v16 x, v16 y) { return zip8(x.a, y.a); }
V16 v16 v_zip_hi(v16 x, v16 y) { return zip8(x.b, y.b); }
V16 v16 v_tag(v16 x, int32_t mask, int32_t tag)
{
    __m256 keep = _mm256_castsi256_ps(_mm256_set1_epi32(~mask)), t = _mm256_castsi256_ps(_mm256_set1_epi32(tag));

    return (v16){ _mm256_or_ps(_mm256_and_ps(x.a, keep), t), _mm256_or_ps(_mm256_and_ps(x.b, keep), t) };
}
V16 __m256 push8(__m256 acc, __m256 x, int n, int32_t mask)
{
    __m256i up = _mm256_sll_epi32(_mm256_castps_si256(acc), _mm_cvtsi32_si128(n));

    return _mm256_castsi256_ps(_mm256_or_si256(up, _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(mask))));
}
V16 v16 v_push(v16 acc, v16 x, int n, int32_t mask) { return (v16){ push8(acc.a, x.a, n, mask), push8(acc.b, x.b, n, mask) }; }

/* The four Walsh stages inside a vector, 1, 2, 4 and 8 apart. A factor of +-1 rounds nothing, so the fused form is u + v and u - v. */
V16 __m256 walsh8(__m256 x)
{
    const __m256 s1 = _mm256_setr_ps(1, -1, 1, -1, 1, -1, 1, -1), s2 = _mm256_setr_ps(1, 1, -1, -1, 1, 1, -1, -1);
    const __m256 s4 = _mm256_setr_ps(1, 1, 1, 1, -1, -1, -1, -1);

    x = _mm256_fmadd_ps(x, s1, _mm256_permute_ps(x, 0xb1));
    x = _mm256_fmadd_ps(x, s2, _mm256_permute_ps(x, 0x4e));
    return _mm256_fmadd_ps(x, s4, _mm256_permute2f128_ps(x, x, 1));
}
V16 v16 v_walsh(v16 x)
{
    const __m256 a = walsh8(x.a), b = walsh8(x.b);

    return (v16){ _mm256_add_ps(a, b), _mm256_sub_ps(a, b) };
}


/* x[p[i]] for sixteen numbers in memory; those of 32 bits are below 2^31. */
V16 v16 v_gather_u16(const float *x, const void *p)
{
    const __m256i i = _mm256_loadu_si256((const __m256i *)p);

    return (v16){ _mm256_i32gather_ps(x, _mm256_cvtepu16_epi32(_mm256_castsi256_si128(i)), 4),
                  _mm256_i32gather_ps(x, _mm256_cvtepu16_epi32(_mm256_extracti128_si256(i, 1)), 4) };
}
V16 v16 v_gather_u32(const float *x, const void *p)
{
    return (v16){ _mm256_i32gather_ps(x, _mm256_loadu_si256((const __m256i *)p), 4),
                  _mm256_i32gather_ps(x, _mm256_loadu_si256((const __m256i *)p + 1), 4) };
}

#endif
