/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/gemmq_quant_zmm.h: the activations' quantizer of both AVX-512 tiers (ref/gemmq_ref.c: quantize_block). Include after
 * gemmq_zmm.h.
 *
 * Sixteen blocks at a time: their maxima and sums come out of a tree that folds sixteen vectors at once, so that scales are computed
 * side by side and nothing is summed across the lanes of one vector. */
#ifndef PARE_KERNEL_X86_GEMMQ_QUANT_ZMM_H
#define PARE_KERNEL_X86_GEMMQ_QUANT_ZMM_H

#include "kernel/x86/gemmq_zmm.h"

#define QUANT_BLOCKS 16

/* Largest lane (as unsigned numbers) of each of sixteen vectors, in order. Each step halves the vectors: what is folded lies side by side. */
VIN __m512i fold_max(__m512i v[16])
{
    const __m512i order = _mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15);

#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) v[i] = _mm512_max_epu32(_mm512_shuffle_i32x4(v[i], v[i + 8], 0x44), _mm512_shuffle_i32x4(v[i], v[i + 8], 0xee));
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) v[i] = _mm512_max_epu32(_mm512_shuffle_i32x4(v[i], v[i + 4], 0x88), _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd));
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) v[i] = _mm512_max_epu32(_mm512_unpacklo_epi64(v[i], v[i + 2]), _mm512_unpackhi_epi64(v[i], v[i + 2]));
    v[0] = _mm512_max_epu32(_mm512_castps_si512(_mm512_shuffle_ps(_mm512_castsi512_ps(v[0]), _mm512_castsi512_ps(v[1]), 0x88)),
                            _mm512_castps_si512(_mm512_shuffle_ps(_mm512_castsi512_ps(v[0]), _mm512_castsi512_ps(v[1]), 0xdd)));
    return _mm512_permutexvar_epi32(order, v[0]);
}

/* Sums over 16 bytes each of four vectors, in order. */
VIN __m512i fold_bytes(const __m512i q[4])
{
    const __m512i ones8 = _mm512_set1_epi8(1), ones16 = _mm512_set1_epi16(1);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i v[4], a, b;

#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) v[i] = _mm512_madd_epi16(_mm512_maddubs_epi16(ones8, q[i]), ones16); /* of four bytes each */
    a = _mm512_add_epi32(_mm512_unpacklo_epi64(v[0], v[1]), _mm512_unpackhi_epi64(v[0], v[1]));
    b = _mm512_add_epi32(_mm512_unpacklo_epi64(v[2], v[3]), _mm512_unpackhi_epi64(v[2], v[3]));
    a = _mm512_add_epi32(_mm512_castps_si512(_mm512_shuffle_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), 0x88)),
                         _mm512_castps_si512(_mm512_shuffle_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), 0xdd)));
    return _mm512_permutexvar_epi32(order, a);
}

/* Two blocks to bytes; those that are not kept become 0. */
VIN __m512i to_bytes(const float *x, const float *inv, unsigned kept)
{
    const __m512i  order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __mmask16 k0 = (__mmask16)-(kept & 1u), k1 = (__mmask16)-(kept >> 1 & 1u);
    const __m512   s0 = _mm512_set1_ps(inv[0]), s1 = _mm512_set1_ps(inv[1]);
    const __m512i  a = _mm512_maskz_cvtps_epi32(k0, _mm512_mul_ps(_mm512_loadu_ps(x), s0));
    const __m512i  b = _mm512_maskz_cvtps_epi32(k0, _mm512_mul_ps(_mm512_loadu_ps(x + 16), s0));
    const __m512i  c = _mm512_maskz_cvtps_epi32(k1, _mm512_mul_ps(_mm512_loadu_ps(x + 32), s1));
    const __m512i  d = _mm512_maskz_cvtps_epi32(k1, _mm512_mul_ps(_mm512_loadu_ps(x + 48), s1));

    return _mm512_permutexvar_epi32(order, _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d)));
}

/* Scales of sixteen blocks from the bits of their maxima; the blocks that have codes other than 0 are returned. */
VIN __mmask16 find_scales(__m512i amax, __m512 *d, __m512 *inv)
{
    const __mmask16 big = _mm512_cmpge_epu32_mask(amax, _mm512_set1_epi32((int)PARE_QACT_MAX_BITS));
    const __mmask16 kept = _mm512_cmpge_epu32_mask(amax, _mm512_set1_epi32((int)PARE_QACT_MIN_BITS)) & (__mmask16)~big;
    const __m512    top = _mm512_maskz_mov_ps(kept, _mm512_castsi512_ps(amax)), k127 = _mm512_set1_ps(127.0f);
    const __m512i   q = _mm512_castps_si512(_mm512_div_ps(top, k127));

    *d = _mm512_castsi512_ps(_mm512_and_si512(_mm512_add_epi32(q, _mm512_set1_epi32(2)), _mm512_set1_epi32(~3))); /* pare_qact_scale */
    *d = _mm512_mask_mov_ps(*d, big, _mm512_castsi512_ps(_mm512_set1_epi32((int)PARE_NAN_BITS)));
    *inv = _mm512_maskz_div_ps(kept, k127, top);
    return kept;
}

static void quantize_blocks(const struct pare_qact *a, uint64_t at, const float *x)
{
    const __m512i mask = _mm512_set1_epi32(0x7fffffff);
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30), one = _mm512_set1_epi32(1);
    const __m512i low = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), eight = _mm512_set1_epi32(8);
    __m512i   v[QUANT_BLOCKS], q[8], s0, s1;
    __m512    d, inv;
    __mmask16 kept;
    float     each[QUANT_BLOCKS];

#pragma GCC unroll 16
    for (int i = 0; i < QUANT_BLOCKS; i++)
        v[i] = _mm512_max_epu32(_mm512_and_si512(vi_load(x + 32 * i), mask), _mm512_and_si512(vi_load(x + 32 * i + 16), mask));
    kept = find_scales(fold_max(v), &d, &inv);
    _mm512_storeu_ps(each, inv);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) vi_store(a->q + at * PARE_QBLOCK + 64 * i, q[i] = to_bytes(x + 64 * i, each + 2 * i, kept >> 2 * i));
    s0 = fold_bytes(q);
    s1 = fold_bytes(q + 4);
    _mm512_storeu_ps(a->d + at, d);
    _mm512_storeu_ps(a->lift + at, _mm512_mul_ps(d, _mm512_set1_ps(-PARE_LIFT)));
    vi_store(a->sum16 + 2 * at, s0);
    vi_store(a->sum16 + 2 * at + 16, s1);
    _mm512_storeu_ps(a->s16 + 2 * at, _mm512_mul_ps(_mm512_permutexvar_ps(low, d), _mm512_cvtepi32_ps(s0)));
    _mm512_storeu_ps(a->s16 + 2 * at + 16, _mm512_mul_ps(_mm512_permutexvar_ps(_mm512_add_epi32(low, eight), d), _mm512_cvtepi32_ps(s1)));
    _mm512_storeu_ps(a->s32 + at, _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_permutex2var_epi32(s0, even, s1),
                                                                                         _mm512_permutex2var_epi32(s0, _mm512_add_epi32(even, one), s1)))));
}

/* One block, columns past the row as zeros. */
static void quantize_block(const struct pare_qact *a, uint64_t at, __m512 lo, __m512 hi)
{
    const __m512i mask = _mm512_set1_epi32(0x7fffffff);
    const uint32_t amax = _mm512_reduce_max_epu32(_mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(lo), mask),
                                                                   _mm512_and_si512(_mm512_castps_si512(hi), mask)));
    __m512i i0 = _mm512_setzero_si512(), i1 = i0;
    int32_t sum0, sum1;
    float d = 0;

    if (amax >= PARE_QACT_MAX_BITS) {
        d = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128((int)PARE_NAN_BITS)));
    } else if (amax >= PARE_QACT_MIN_BITS) {
        const float top = _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128((int)amax)));
        const __m512 inv = _mm512_set1_ps(127.0f / top);

        d = pare_qact_scale(top);
        i0 = _mm512_cvtps_epi32(_mm512_mul_ps(lo, inv));
        i1 = _mm512_cvtps_epi32(_mm512_mul_ps(hi, inv));
    }
    _mm_storeu_si128((__m128i *)(void *)(a->q + at * PARE_QBLOCK), _mm512_cvtepi32_epi8(i0));
    _mm_storeu_si128((__m128i *)(void *)(a->q + at * PARE_QBLOCK + 16), _mm512_cvtepi32_epi8(i1));
    sum0 = _mm512_reduce_add_epi32(i0);
    sum1 = _mm512_reduce_add_epi32(i1);
    pare_qact_put_scales(a, at, d, sum0, sum1);
}

static void quantize(const struct pare_qact *a, const float *x, uint64_t ldx, uint32_t r0, uint32_t r1)
{
    const uint32_t full = a->k / PARE_QBLOCK, rest = a->k % PARE_QBLOCK;
    const __mmask16 m0 = (__mmask16)(rest >= 16 ? 0xffff : (1u << rest) - 1), m1 = (__mmask16)(rest > 16 ? (1u << (rest - 16)) - 1 : 0);

    for (uint32_t r = r0; r < r1; r++) {
        const float *src = x + r * ldx;
        uint32_t     b = 0;

        for (; b + QUANT_BLOCKS <= full; b += QUANT_BLOCKS, src += QUANT_BLOCKS * PARE_QBLOCK) quantize_blocks(a, pare_qact_block(a, r, b), src);
        for (; b < full; b++, src += PARE_QBLOCK) quantize_block(a, pare_qact_block(a, r, b), _mm512_loadu_ps(src), _mm512_loadu_ps(src + 16));
        if (rest != 0) quantize_block(a, pare_qact_block(a, r, full), _mm512_maskz_loadu_ps(m0, src), _mm512_maskz_loadu_ps(m1, src + 16));
    }
}

#endif
