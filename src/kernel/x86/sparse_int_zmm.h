/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/sparse_int_zmm.h: the 8- and 4-bit formats in zmm registers. What a tier says: sparse_dot_vnni.h or sparse_avx512.c, and
 * mask_codes(p, mask), 64 codes from packed ones. */
#ifndef PARE_KERNEL_X86_SPARSE_INT_ZMM_H
#define PARE_KERNEL_X86_SPARSE_INT_ZMM_H

#include "kernel/x86/sparse_float_x86.h"

#define SPARSE_QTOKENS 8u
typedef __m512i VI;

V16 VI vi_load(const void *p) { return _mm512_loadu_si512(p); }

/* acc = fma((float)idot * dx, dw, acc): the one step. */
V16 __m512 sparse_step(__m512 acc, VI idot, __m512 dx, __m512 dw) { return _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(idot), dx), dw, acc); }

static void sparse_finish_int(const struct pare_sparse *s, uint32_t panel, float *y, __m512 acc)
{
    float out[16] __attribute__((aligned(64)));

    _mm512_store_ps(out, _mm512_mask_mov_ps(acc, _mm512_cmp_ps_mask(acc, acc, _CMP_UNORD_Q), _mm512_castsi512_ps(_mm512_set1_epi32(0x7fc00000))));
    pare_sparse_put(s, panel, y, out);
}

/* Runs fn for 8, 4, 2 and 1 tokens at once, a number that the compiler knows. */
#define SPARSE_INT_ENTRY(name, fn)                                                                                     \
    static void name##_8(float *y, uint64_t ldy, const struct pare_sparse *s, const struct pare_qact *a, uint32_t t, uint32_t p) { fn(8, y, ldy, s, a, t, p); } \
    static void name##_4(float *y, uint64_t ldy, const struct pare_sparse *s, const struct pare_qact *a, uint32_t t, uint32_t p) { fn(4, y, ldy, s, a, t, p); } \
    static void name##_2(float *y, uint64_t ldy, const struct pare_sparse *s, const struct pare_qact *a, uint32_t t, uint32_t p) { fn(2, y, ldy, s, a, t, p); } \
    static void name##_1(float *y, uint64_t ldy, const struct pare_sparse *s, const struct pare_qact *a, uint32_t t, uint32_t p) { fn(1, y, ldy, s, a, t, p); } \
    static void name(SPARSE_ARGS)                                                                                      \
    {                                                                                                                  \
        (void)x, (void)ldx;                                                                                            \
        for (uint32_t p = p0; p < p1; p++) {                                                                           \
            for (uint32_t t = 0, k; t < n; t += k) {                                                                   \
                k = n - t >= 8 ? 8 : n - t >= 4 ? 4 : n - t >= 2 ? 2 : 1;                                              \
                (k == 8 ? name##_8 : k == 4 ? name##_4 : k == 2 ? name##_2 : name##_1)(y + t * ldy, ldy, s, a, t, p);  \
            }                                                                                                          \
        }                                                                                                              \
    }

V16 void sparse_mask_q8(int tokens, float *y, uint64_t ldy, const struct pare_sparse *s, const struct pare_qact *a, uint32_t t0, uint32_t p)
{
    const uint64_t blocks = s->cols / 32;
    const uint8_t *head = s->data + s->at[p], *codes = head + pare_sparse_up64(blocks * PARE_SPARSE_MASK_HEAD);
    __m512         acc[SPARSE_QTOKENS];

#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++) acc[t] = _mm512_setzero_ps();
    for (uint64_t b = 0; b < blocks; b++, head += PARE_SPARSE_MASK_HEAD) {
        VI w[8];

#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            const uint64_t m = pare_le64(head + 32 + 8 * j);

            if (j % 2 == 0) sparse_ahead(codes);
            w[j] = mask_codes(codes, m);
            codes += __builtin_popcountll(m);
        }
#pragma GCC unroll 8
        for (int t = 0; t < tokens; t++) {
            const uint64_t block = pare_qact_block(a, t0 + (unsigned)t, b);
            const int8_t  *q = a->q + block * 32;
            VI             even = _mm512_set1_epi32(mask_start(a->sum16 + 2 * block)), odd = _mm512_setzero_si512();

#pragma GCC unroll 4
            for (int j = 0; j < 8; j += 2) {
                even = mask_dot(even, w[j], _mm512_set1_epi32((int)pare_le32(q + 4 * j)));
                odd = mask_dot(odd, w[j + 1], _mm512_set1_epi32((int)pare_le32(q + 4 * j + 4)));
            }
            acc[t] = sparse_step(acc[t], _mm512_add_epi32(even, odd), _mm512_set1_ps(a->d[block]), v_load_f16(head));
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++) sparse_finish_int(s, p, y + (unsigned)t * ldy, acc[t]);
}
SPARSE_INT_ENTRY(sparse_mask_int, sparse_mask_q8)

/* Which of 16 activations each byte wants: 8 (v mod 2) + 4 (b / 2) + position. */
V16 VI n24_index(VI pos, int v)
{
    const VI at = _mm512_set1_epi32(v % 2 ? 0x0c0c0808 : 0x04040000);

    return _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(pos, (unsigned)(2 * v)), _mm512_set1_epi8(3)), at);
}

V16 void sparse_n24(int tokens, float *y, uint64_t ldy, const struct pare_sparse *s, const struct pare_qact *a, uint32_t t0, uint32_t p)
{
    const uint8_t *at = s->data + s->at[p];
    __m512         acc[SPARSE_QTOKENS];

#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++) acc[t] = _mm512_setzero_ps();
    for (uint64_t b = 0; b < s->cols / 32; b++, at += PARE_SPARSE_N24_BLOCK) {
        const VI pos = vi_load(at + 32);
        VI       w[4], index[4], start;

#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            w[v] = vi_load(at + 96 + 64 * v);
            sparse_ahead(at + 96 + 64 * v);
            index[v] = n24_index(pos, v);
        }
        sparse_ahead(at + 32);
        start = n24_start(w);
#pragma GCC unroll 8
        for (int t = 0; t < tokens; t++) {
            const uint64_t block = pare_qact_block(a, t0 + (unsigned)t, b);
            const VI       lo = n24_input(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(a->q + block * 32))));
            const VI       hi = n24_input(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(a->q + block * 32 + 16))));
            VI             idot = start, other = _mm512_setzero_si512();

            idot = n24_dot(idot, w[0], _mm512_shuffle_epi8(lo, index[0]));
            other = n24_dot(other, w[1], _mm512_shuffle_epi8(lo, index[1]));
            idot = n24_dot(idot, w[2], _mm512_shuffle_epi8(hi, index[2]));
            other = n24_dot(other, w[3], _mm512_shuffle_epi8(hi, index[3]));
            acc[t] = sparse_step(acc[t], _mm512_add_epi32(idot, other), _mm512_set1_ps(a->d[block]), v_load_f16(at));
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++) sparse_finish_int(s, p, y + (unsigned)t * ldy, acc[t]);
}
SPARSE_INT_ENTRY(sparse_n24_int, sparse_n24)

/* For one run of 16 columns the rows that have it are a mask, and a row's four codes of a plane are one number of 32 bits. */
V16 void sparse_group(int tokens, float *y, uint64_t ldy, const struct pare_sparse *s, const struct pare_qact *a, uint32_t t0, uint32_t p)
{
    const uint8_t *panel = s->data + s->at[p], *mask = panel + 32, *body = panel + pare_sparse_up64(32 + s->cols / 8);
    const __m512   d = v_load_f16(panel);
    const VI       low = _mm512_set1_epi8(15);
    __m512         acc[SPARSE_QTOKENS];

#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++) acc[t] = _mm512_setzero_ps();
    for (uint64_t g = 0; g < s->cols / 16; g++) {
        const uint32_t  m = pare_le16(mask + 2 * g), k = (uint32_t)__builtin_popcount(m);
        const __mmask16 rows = (__mmask16)m;
        const VI        sz = _mm512_maskz_expand_epi32(rows, _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)body)));
        const VI        c0 = _mm512_maskz_expand_epi32(rows, vi_load(body + 2 * k)), c1 = _mm512_maskz_expand_epi32(rows, vi_load(body + 6 * k));
        const VI        a0 = _mm512_and_si512(c0, low), a1 = _mm512_and_si512(c1, low), a2 = _mm512_and_si512(_mm512_srli_epi16(c0, 4), low),
                        a3 = _mm512_and_si512(_mm512_srli_epi16(c1, 4), low), zero = _mm512_srli_epi32(sz, 12);
        const __m512    dw = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_and_si512(sz, _mm512_set1_epi32(0xfff))));

        sparse_ahead(body);
        if (k > 6) sparse_ahead(body + 64);
        body += 10 * k;
#pragma GCC unroll 8
        for (int t = 0; t < tokens; t++) {
            const uint64_t block = pare_qact_block(a, t0 + (unsigned)t, g / 2);
            const int8_t  *q = a->q + block * 32 + g % 2 * 16;
            VI             idot = dot_words(_mm512_setzero_si512(), zero, _mm512_set1_epi32(-a->sum16[2 * block + g % 2] & 0xffff)), other;

            idot = dot_unsigned(idot, a0, _mm512_set1_epi32((int)pare_le32(q)));
            other = dot_unsigned(_mm512_setzero_si512(), a1, _mm512_set1_epi32((int)pare_le32(q + 4)));
            idot = dot_unsigned(idot, a2, _mm512_set1_epi32((int)pare_le32(q + 8)));
            other = dot_unsigned(other, a3, _mm512_set1_epi32((int)pare_le32(q + 12)));
            acc[t] = sparse_step(acc[t], _mm512_add_epi32(idot, other), _mm512_set1_ps(a->d[block]), dw);
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++) sparse_finish_int(s, p, y + (unsigned)t * ldy, acc[t]);
}
SPARSE_INT_ENTRY(sparse_group_int, sparse_group)

static void sparse_mask_any(SPARSE_ARGS)
{
    (s->type == PARE_Q8_0 ? sparse_mask_int : s->type == PARE_F16 ? sparse_mask_f16 : sparse_mask_f32)(y, ldy, s, x, ldx, a, n, p0, p1);
}

#define SPARSE_TABLE(name, level)                                                                                      \
    const struct pare_sparse_kernels name = {                                                                          \
        .tier = level, .gemm = { [PARE_SPARSE_TILED] = sparse_tiled, [PARE_SPARSE_MASK] = sparse_mask_any, [PARE_SPARSE_N24] = sparse_n24_int, \
                                 [PARE_SPARSE_GROUP] = sparse_group_int, [PARE_SPARSE_WIDE] = sparse_wide },           \
    }

#endif
