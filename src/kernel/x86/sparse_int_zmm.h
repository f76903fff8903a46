/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/sparse_int_zmm.h: the 8- and 4-bit formats in zmm registers. A tier says dot_signed(acc, w, q), the sums of four products of
 * signed bytes, dot_unsigned(acc, u, q) for u up to 15, both exact, and expand(p, mask): bytes from p on where the mask is set. */
#ifndef PARE_KERNEL_X86_SPARSE_INT_ZMM_H
#define PARE_KERNEL_X86_SPARSE_INT_ZMM_H

#include "kernel/x86/sparse_float_x86.h"

#define SPARSE_QTOKENS 4u
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

/* Runs body for 4, then 1 tokens at once: fn(tokens, ...) with tokens known to the compiler. */
#define SPARSE_INT_ENTRY(name, fn)                                                                                     \
    static void name(SPARSE_ARGS)                                                                                      \
    {                                                                                                                  \
        (void)x, (void)ldx;                                                                                            \
        for (uint32_t p = p0; p < p1; p++) {                                                                           \
            uint32_t t = 0;                                                                                            \
            for (; n - t >= SPARSE_QTOKENS; t += SPARSE_QTOKENS) fn((int)SPARSE_QTOKENS, y + t * ldy, ldy, s, a, t, p); \
            for (; t < n; t++) fn(1, y + t * ldy, ldy, s, a, t, p);                                                    \
        }                                                                                                              \
    }

V16 void sparse_mask_q8(int tokens, float *y, uint64_t ldy, const struct pare_sparse *s, const struct pare_qact *a, uint32_t t0, uint32_t p)
{
    const uint64_t blocks = s->cols / 32;
    const uint8_t *head = s->data + s->at[p], *codes = head + pare_sparse_up64(blocks * PARE_SPARSE_MASK_HEAD);
    __m512         acc[SPARSE_QTOKENS];

#pragma GCC unroll 4
    for (int t = 0; t < tokens; t++) acc[t] = _mm512_setzero_ps();
    for (uint64_t b = 0; b < blocks; b++, head += PARE_SPARSE_MASK_HEAD) {
        VI idot[SPARSE_QTOKENS];

#pragma GCC unroll 4
        for (int t = 0; t < tokens; t++) idot[t] = _mm512_setzero_si512();
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            const uint64_t m = pare_le64(head + 32 + 8 * j);
            const VI       w = expand(codes, m);

            codes += __builtin_popcountll(m);
#pragma GCC unroll 4
            for (int t = 0; t < tokens; t++) {
                const int8_t *q = a->q + pare_qact_block(a, t0 + (unsigned)t, b) * 32;

                idot[t] = dot_signed(idot[t], w, _mm512_set1_epi32((int)pare_le32(q + 4 * j)));
            }
        }
#pragma GCC unroll 4
        for (int t = 0; t < tokens; t++)
            acc[t] = sparse_step(acc[t], idot[t], _mm512_set1_ps(a->d[pare_qact_block(a, t0 + (unsigned)t, b)]), v_load_f16(head));
    }
#pragma GCC unroll 4
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

#pragma GCC unroll 4
    for (int t = 0; t < tokens; t++) acc[t] = _mm512_setzero_ps();
    for (uint64_t b = 0; b < s->cols / 32; b++, at += PARE_SPARSE_N24_BLOCK) {
        const VI pos = vi_load(at + 32);
        VI       w[4], index[4];

#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            w[v] = vi_load(at + 96 + 64 * v);
            index[v] = n24_index(pos, v);
        }
#pragma GCC unroll 4
        for (int t = 0; t < tokens; t++) {
            const uint64_t block = pare_qact_block(a, t0 + (unsigned)t, b);
            const VI       lo = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(a->q + block * 32)));
            const VI       hi = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(a->q + block * 32 + 16)));
            VI             idot = _mm512_setzero_si512(), other = idot;

            idot = dot_signed(idot, w[0], _mm512_shuffle_epi8(lo, index[0]));
            other = dot_signed(other, w[1], _mm512_shuffle_epi8(lo, index[1]));
            idot = dot_signed(idot, w[2], _mm512_shuffle_epi8(hi, index[2]));
            other = dot_signed(other, w[3], _mm512_shuffle_epi8(hi, index[3]));
            acc[t] = sparse_step(acc[t], _mm512_add_epi32(idot, other), _mm512_set1_ps(a->d[block]), v_load_f16(at));
        }
    }
#pragma GCC unroll 4
    for (int t = 0; t < tokens; t++) sparse_finish_int(s, p, y + (unsigned)t * ldy, acc[t]);
}
SPARSE_INT_ENTRY(sparse_n24_int, sparse_n24)

/* d[i] holds four partial sums of row 4 k + i in its 128-bit part k: their sums in row order. */
V16 VI group_sums(const VI d[4])
{
    const VI ab = _mm512_add_epi32(_mm512_unpacklo_epi32(d[0], d[1]), _mm512_unpackhi_epi32(d[0], d[1]));
    const VI cd = _mm512_add_epi32(_mm512_unpacklo_epi32(d[2], d[3]), _mm512_unpackhi_epi32(d[2], d[3]));

    return _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
}

/* The 16 activations of four rows' groups, row 4 k + i in part k. */
V16 VI group_inputs(const int8_t *q, const uint32_t at[16], int i)
{
    VI v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)(q + at[i])));

    v = _mm512_mask_broadcast_i32x4(v, 0x00f0, _mm_loadu_si128((const __m128i *)(const void *)(q + at[4 + i])));
    v = _mm512_mask_broadcast_i32x4(v, 0x0f00, _mm_loadu_si128((const __m128i *)(const void *)(q + at[8 + i])));
    return _mm512_mask_broadcast_i32x4(v, 0xf000, _mm_loadu_si128((const __m128i *)(const void *)(q + at[12 + i])));
}

V16 void sparse_group(int tokens, float *y, uint64_t ldy, const struct pare_sparse *s, const struct pare_qact *a, uint32_t t0, uint32_t p)
{
    const uint32_t steps = pare_sparse_steps(s, p);
    const uint8_t *panel = s->data + s->at[p], *head = panel + 64, *code = head + pare_sparse_up64((uint64_t)steps * PARE_SPARSE_GROUP_HEAD);
    const __m512   d = v_load_f16(panel);
    const VI       nibble = _mm512_set1_epi8(15), row = _mm512_set_epi32(0x0c0c0c0c, 0x0c0c0c0c, 0x0c0c0c0c, 0x0c0c0c0c, 0x08080808, 0x08080808, 0x08080808, 0x08080808,
                                                                         0x04040404, 0x04040404, 0x04040404, 0x04040404, 0, 0, 0, 0);
    VI             group = _mm512_setzero_si512();
    __m512         acc[SPARSE_QTOKENS];

#pragma GCC unroll 4
    for (int t = 0; t < tokens; t++) acc[t] = _mm512_setzero_ps();
    for (uint32_t k = 0; k < steps; k++, head += PARE_SPARSE_GROUP_HEAD, code += 128) {
        const __m128i z8 = _mm_loadl_epi64((const __m128i *)(const void *)(head + 32));
        const VI      z = _mm512_broadcast_i32x4(_mm_and_si128(_mm_unpacklo_epi64(z8, _mm_srli_epi16(z8, 4)), _mm_set1_epi8(15)));
        const VI      c0 = vi_load(code), c1 = vi_load(code + 64);
        const VI      c[4] = { _mm512_and_si512(c0, nibble), _mm512_and_si512(c1, nibble), _mm512_and_si512(_mm512_srli_epi16(c0, 4), nibble),
                               _mm512_and_si512(_mm512_srli_epi16(c1, 4), nibble) };
        const __m512  dw = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(head + 16)))));
        VI            block, at;
        uint32_t      place[16] __attribute__((aligned(64)));

        group = _mm512_add_epi32(group, _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)head)));
        block = _mm512_srli_epi32(group, 1);
        /* pare_qact_block for token 0 of a */
        block = _mm512_add_epi32(_mm512_mullo_epi32(_mm512_andnot_si512(_mm512_set1_epi32(PARE_QRUN - 1), block), _mm512_set1_epi32((int)a->stride)),
                                 _mm512_and_si512(block, _mm512_set1_epi32(PARE_QRUN - 1)));
        at = _mm512_add_epi32(_mm512_slli_epi32(block, 5), _mm512_slli_epi32(_mm512_and_si512(group, _mm512_set1_epi32(1)), 4));
        _mm512_store_si512(place, at);
#pragma GCC unroll 4
        for (int t = 0; t < tokens; t++) {
            const uint64_t first = (uint64_t)(t0 + (unsigned)t) * PARE_QRUN;
            VI             sum[4];

#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                const VI q = group_inputs(a->q + first * 32, place, i), zero = _mm512_shuffle_epi8(z, _mm512_add_epi8(row, _mm512_set1_epi8((char)i)));

                sum[i] = _mm512_sub_epi32(dot_unsigned(_mm512_setzero_si512(), c[i], q), dot_unsigned(_mm512_setzero_si512(), zero, q));
            }
            acc[t] = sparse_step(acc[t], group_sums(sum), _mm512_i32gather_ps(block, a->d + first, 4), dw);
        }
    }
#pragma GCC unroll 4
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
