/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/vec_attn_x86.h: the inner loops of attention on sixteen lanes. Include once a tier, after v16_*.h and
 * vec_math_x86.h. */
#ifndef PARE_KERNEL_X86_VEC_ATTN_H
#define PARE_KERNEL_X86_VEC_ATTN_H

#include "kernel/vec_tiers.h"
#include "kernel/x86/vec_math_x86.h"

/* Elements i .. i + 15 of a row, i a multiple of 16. Rows of q8_0 are padded to 32, so a tail may be read whole. */
V16 v16 at_f32(const uint8_t *row, uint64_t i) { return v_load((const float *)(const void *)row + i); }
V16 v16 at_f16(const uint8_t *row, uint64_t i) { return v_load_f16(row + 2 * i); }
V16 v16 at_q8(const uint8_t *row, uint64_t i)
{
    const uint8_t *b = row + i / 32 * 34;
    uint16_t       d;

    memcpy(&d, b, sizeof d);
    return v_mul(v_set1(_cvtsh_ss(d)), v_load_i8(b + 2 + i % 32));
}
V16 v16 at_f32_n(const uint8_t *row, uint64_t i, uint32_t n) { return v_load_n((const float *)(const void *)row + i, n); }
V16 v16 at_f16_n(const uint8_t *row, uint64_t i, uint32_t n) { return v_load_f16_n(row + 2 * i, n); }
V16 v16 at_q8_n(const uint8_t *row, uint64_t i, uint32_t n)
{
    (void)n;
    return at_q8(row, i);
}

/* Four keys at a time hide the latency of the multiply-add; rows past the end repeat the last one and are not stored. */
static void scores_q8(float *s, const uint8_t *k, uint64_t stride, const float *q, uint32_t dk, uint32_t n)
{
    for (uint32_t j = 0; j < n; j += 4) {
        const uint8_t *r0 = k + j * stride, *r1 = k + (j + 1 < n ? j + 1 : n - 1) * stride;
        const uint8_t *r2 = k + (j + 2 < n ? j + 2 : n - 1) * stride, *r3 = k + (j + 3 < n ? j + 3 : n - 1) * stride;
        v16      a0 = v_set1(0.0f), a1 = a0, a2 = a0, a3 = a0, x;
        float    y[4];
        uint32_t i = 0;

        for (; i + 16 <= dk; i += 16) {
            x = v_load(q + i);
            a0 = v_fma(at_q8(r0, i), x, a0);
            a1 = v_fma(at_q8(r1, i), x, a1);
            a2 = v_fma(at_q8(r2, i), x, a2);
            a3 = v_fma(at_q8(r3, i), x, a3);
        }
        if (i < dk) {
            x = v_load_n(q + i, dk - i);
            a0 = v_keep(a0, v_fma(at_q8(r0, i), x, a0), dk - i);
            a1 = v_keep(a1, v_fma(at_q8(r1, i), x, a1), dk - i);
            a2 = v_keep(a2, v_fma(at_q8(r2, i), x, a2), dk - i);
            a3 = v_keep(a3, v_fma(at_q8(r3, i), x, a3), dk - i);
        }
        _mm_storeu_ps(y, v_tree4(a0, a1, a2, a3));
        for (uint32_t e = 0; e < 4 && j + e < n; e++) s[j + e] = y[e];
    }
}

/* Sixty-four columns of the result stay in registers while the rows of a page pass by. */
#define VALUES(name)                                                                                                   \
    static void values_##name(float *o, const float *p, const uint8_t *v, uint64_t stride, uint32_t dv, uint32_t n)    \
    {                                                                                                                  \
        uint32_t i = 0;                                                                                                \
                                                                                                                       \
        for (; i + 64 <= dv; i += 64) {                                                                                \
            v16 a0 = v_load(o + i), a1 = v_load(o + i + 16), a2 = v_load(o + i + 32), a3 = v_load(o + i + 48);          \
            for (uint32_t j = 0; j < n; j++) {                                                                         \
                const uint8_t *r = v + j * stride;                                                                     \
                v16            c = v_set1(p[j]);                                                                       \
                a0 = v_fma(c, at_##name(r, i), a0);                                                                    \
                a1 = v_fma(c, at_##name(r, i + 16), a1);                                                               \
                a2 = v_fma(c, at_##name(r, i + 32), a2);                                                               \
                a3 = v_fma(c, at_##name(r, i + 48), a3);                                                               \
            }                                                                                                          \
            v_store(o + i, a0);                                                                                        \
            v_store(o + i + 16, a1);                                                                                   \
            v_store(o + i + 32, a2);                                                                                   \
            v_store(o + i + 48, a3);                                                                                   \
        }                                                                                                              \
        for (; i + 16 <= dv; i += 16) {                                                                                \
            v16 a = v_load(o + i);                                                                                     \
            for (uint32_t j = 0; j < n; j++) a = v_fma(v_set1(p[j]), at_##name(v + j * stride, i), a);                 \
            v_store(o + i, a);                                                                                         \
        }                                                                                                              \
        if (i < dv) {                                                                                                  \
            v16 a = v_load_n(o + i, dv - i);                                                                           \
            for (uint32_t j = 0; j < n; j++) a = v_fma(v_set1(p[j]), at_##name##_n(v + j * stride, i, dv - i), a);      \
            v_store_n(o + i, a, dv - i);                                                                               \
        }                                                                                                              \
    }
VALUES(f32)
VALUES(f16)
VALUES(q8)
#undef VALUES

/* A block of rows by columns of the result in registers: each value is loaded once for all rows. */
#ifdef __AVX512F__
#define BLOCK_COLS 4
#else
#define BLOCK_COLS 1
#endif
#define BLOCK_ROWS 4
V16 void values_block(float *const *o, const float *p, const uint8_t *v, uint64_t stride, uint32_t i, uint32_t n)
{
    v16 a[BLOCK_ROWS][BLOCK_COLS];

#pragma GCC unroll 4
    for (int r = 0; r < BLOCK_ROWS; r++) {
#pragma GCC unroll 4
        for (int c = 0; c < BLOCK_COLS; c++) a[r][c] = v_load(o[r] + i + 16 * c);
    }
    for (uint32_t j = 0; j < n; j++) {
        v16 x[BLOCK_COLS];

#pragma GCC unroll 4
        for (int c = 0; c < BLOCK_COLS; c++) x[c] = at_f32(v + j * stride, i + 16u * (unsigned)c);
#pragma GCC unroll 4
        for (int r = 0; r < BLOCK_ROWS; r++) {
            const v16 b = v_set1(p[r * PARE_ATTN_PAGE + j]);
#pragma GCC unroll 4
            for (int c = 0; c < BLOCK_COLS; c++) a[r][c] = v_fma(b, x[c], a[r][c]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < BLOCK_ROWS; r++) {
#pragma GCC unroll 4
        for (int c = 0; c < BLOCK_COLS; c++) v_store(o[r] + i + 16 * c, a[r][c]);
    }
}

static void values_rows(float *const *o, uint32_t rows, const float *p, const uint8_t *v, uint64_t stride, uint32_t dv, uint32_t n)
{
    const uint32_t whole = dv / (16 * BLOCK_COLS) * (16 * BLOCK_COLS);
    uint32_t       r = 0;

    for (; r + BLOCK_ROWS <= rows; r += BLOCK_ROWS) {
        for (uint32_t i = 0; i < whole; i += 16 * BLOCK_COLS) values_block(o + r, p + r * PARE_ATTN_PAGE, v, stride, i, n);
        if (whole == dv) continue;
        for (uint32_t k = r; k < r + BLOCK_ROWS; k++)
            values_f32(o[k] + whole, p + k * PARE_ATTN_PAGE, v + 4 * (uint64_t)whole, stride, dv - whole, n);
    }
    for (; r < rows; r++) values_f32(o[r], p + r * PARE_ATTN_PAGE, v, stride, dv, n);
}

static void decode_f16(float *x, uint64_t ldx, const uint8_t *row, uint64_t stride, uint32_t d, uint32_t n)
{
    for (uint32_t j = 0; j < n; j++, x += ldx, row += stride) {
        uint32_t i = 0;

        for (; i + 16 <= d; i += 16) v_store(x + i, at_f16(row, i));
        if (i < d) v_store_n(x + i, at_f16_n(row, i, d - i), d - i);
    }
}

static void decode_q8(float *x, uint64_t ldx, const uint8_t *row, uint64_t stride, uint32_t d, uint32_t n)
{
    for (uint32_t j = 0; j < n; j++, x += ldx, row += stride)
        for (uint32_t i = 0; i < d; i += 16) v_store(x + i, at_q8(row, i));
}

static float exp_sum(float *s, float m)
{
    v16 l = v_set1(0.0f), vm = v_set1(m);

    for (int i = 0; i < PARE_ATTN_PAGE; i += 16) {
        v16 p = vm_exp(v_sub(v_load(s + i), vm));
        v_store(s + i, p);
        l = v_add(l, p);
    }
    return v_tree(l);
}

static const struct pare_attn_ops attn_ops = {
    .scores_q8 = scores_q8, .values_f32 = values_f32, .values_f16 = values_f16, .values_q8 = values_q8, .values_rows = values_rows,
    .decode_f16 = decode_f16, .decode_q8 = decode_q8, .exp_sum = exp_sum,
};

#endif
