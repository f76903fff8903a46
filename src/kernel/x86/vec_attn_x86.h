/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/vec_attn_x86.h: the inner loops of attention on sixteen lanes. Include once a tier, after v16_*.h and
 * vec_math_x86.h. */
#ifndef PARE_KERNEL_X86_VEC_ATTN_H
#define PARE_KERNEL_X86_VEC_ATTN_H

#include <math.h>

#include "kernel/kv_tile.h"
#include "kernel/vec_tiers.h"
#include "kernel/x86/vec_math_x86.h"

/* Elements i .. i + 15 of a row, i a multiple of 16. */
V16 v16 at_f32(const uint8_t *row, uint64_t i) { return v_load((const float *)(const void *)row + i); }
V16 v16 at_f16(const uint8_t *row, uint64_t i) { return v_load_f16(row + 2 * i); }
V16 v16 at_f32_n(const uint8_t *row, uint64_t i, uint32_t n) { return v_load_n((const float *)(const void *)row + i, n); }
V16 v16 at_f16_n(const uint8_t *row, uint64_t i, uint32_t n) { return v_load_f16_n(row + 2 * i, n); }

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

/* The codes of 32 columns as floats. */
V16 void tile_q8(v16 x[2], const uint8_t *p)
{
    x[0] = v_load_i8(p);
    x[1] = v_load_i8(p + 16);
}
V16 __m128i nibbles_at(const uint8_t *p, int high)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);

    return _mm_and_si128(high ? _mm_srli_epi16(v, 4) : v, _mm_set1_epi8(15));
}
V16 void tile_q4(v16 x[2], const uint8_t *p)
{
    const __m128i middle = _mm_set1_epi8(8);

    x[0] = v_from_i8(_mm_sub_epi8(nibbles_at(p, 0), middle));
    x[1] = v_from_i8(_mm_sub_epi8(nibbles_at(p, 1), middle));
}
/* 0 where a column's fifth bit is set and -16 elsewhere: added to the low four bits this is code - 16. */
V16 __m128i fifth(const uint8_t *p)
{
    const __m128i spread = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1), bit = _mm_set1_epi64x((int64_t)0x8040201008040201u);
    uint16_t      two;

    memcpy(&two, p, sizeof two);
    return _mm_and_si128(_mm_cmpeq_epi8(_mm_and_si128(_mm_shuffle_epi8(_mm_set1_epi16((short)two), spread), bit), _mm_setzero_si128()),
                         _mm_set1_epi8(-16));
}
V16 void tile_q5(v16 x[2], const uint8_t *p)
{
    x[0] = v_from_i8(_mm_add_epi8(nibbles_at(p, 0), fifth(p + 16)));
    x[1] = v_from_i8(_mm_add_epi8(nibbles_at(p, 1), fifth(p + 18)));
}

#define DECODE_TILE(name)                                                                                              \
    static void decode_##name(float *x, uint64_t ldx, const uint8_t *tile, const uint8_t *codes, uint32_t bytes,       \
                              uint32_t blocks, uint32_t j0, uint32_t j1)                                               \
    {                                                                                                                  \
        float d[PARE_ATTN_PAGE];                                                                                       \
                                                                                                                       \
        for (uint32_t b = 0; b < blocks; b++, tile += 2 * PARE_ATTN_PAGE, codes += bytes, x += 32) {                   \
            for (uint32_t k = j0 / 16 * 16; k < j1; k += 16) v_store(d + k, v_load_f16(tile + 2 * k));                 \
            for (uint32_t j = j0; j < j1; j++) {                                                                       \
                const v16 s = v_set1(d[j]);                                                                            \
                v16       c[2];                                                                                        \
                                                                                                                       \
                tile_##name(c, codes + (uint64_t)j * blocks * bytes);                                                  \
                v_store(x + (j - j0) * ldx, v_mul(s, c[0]));                                                           \
                v_store(x + (j - j0) * ldx + 16, v_mul(s, c[1]));                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
DECODE_TILE(q8)
DECODE_TILE(q5)
DECODE_TILE(q4)

static void decode_tile(float *x, uint64_t ldx, const uint8_t *tile, enum pare_type type, uint32_t dv, uint32_t j0, uint32_t j1)
{
    (type == PARE_Q8_0 ? decode_q8 : type == PARE_Q5_0 ? decode_q5 : decode_q4)(x, ldx, tile, tile + pare_vtile_codes_at(dv),
                                                                                 pare_vtile_code(type), (dv + 31) / 32, j0, j1);
}

/* ---- scores of float keys: sixteen positions a vector, some queries and panels in registers ---- */

#ifdef __AVX512F__
#define SCORE_PANELS 4
#define SCORE_SHAPES(X) X(6, 4) X(4, 4) X(2, 4) X(1, 4) X(6, 1) X(4, 1) X(2, 1) X(1, 1)
#define SCORE_ROWS 6
#else
#define SCORE_PANELS 2
#define SCORE_SHAPES(X) X(2, 2) X(1, 2) X(2, 1) X(1, 1)
#define SCORE_ROWS 2
#endif

struct score_args {
    float         *s;
    const uint8_t *tile;  /* the first panel */
    const float   *x;
    uint64_t       ldx;
    uint32_t       dk;
};

V16 void score_block(int f16, int rows, int panels, const struct score_args *g)
{
    const uint64_t step = f16 ? 2 * PARE_PANEL : 4 * PARE_PANEL;
    const uint8_t *at = g->tile;
    v16            a[SCORE_ROWS][SCORE_PANELS];

#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++) a[r][p] = v_set1(0.0f);
    }
    for (uint32_t c = 0; c < g->dk; c++, at += step) {
        v16 k[SCORE_PANELS];

#pragma GCC unroll 4
        for (int p = 0; p < panels; p++) k[p] = f16 ? at_f16(at + (unsigned)p * g->dk * step, 0) : at_f32(at + (unsigned)p * g->dk * step, 0);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            const v16 b = v_set1(g->x[(unsigned)r * g->ldx + c]);
#pragma GCC unroll 4
            for (int p = 0; p < panels; p++) a[r][p] = v_fma(b, k[p], a[r][p]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (int p = 0; p < panels; p++) v_store(g->s + r * PARE_ATTN_PAGE + p * PARE_PANEL, a[r][p]);
    }
}

#define SCORE_FUNCTIONS(rows, panels)                                                                                  \
    static void score_f32_##rows##_##panels(const struct score_args *g) { score_block(0, rows, panels, g); }           \
    static void score_f16_##rows##_##panels(const struct score_args *g) { score_block(1, rows, panels, g); }
SCORE_SHAPES(SCORE_FUNCTIONS)
typedef void (*score_fn)(const struct score_args *);
#define SCORE_F32(rows, panels) [rows][panels] = score_f32_##rows##_##panels,
#define SCORE_F16(rows, panels) [rows][panels] = score_f16_##rows##_##panels,
static const score_fn score_table[2][SCORE_ROWS + 1][SCORE_PANELS + 1] = { { SCORE_SHAPES(SCORE_F32) }, { SCORE_SHAPES(SCORE_F16) } };

static void scores(float *s, const uint8_t *tile, bool f16, const float *x, uint64_t ldx, uint32_t dk, uint32_t rows, uint32_t p0, uint32_t p1)
{
    for (uint32_t p = p0, np; p < p1; p += np) {
        np = p1 - p >= SCORE_PANELS ? SCORE_PANELS : 1;
        for (uint32_t r = 0, n; r < rows; r += n) {
            const uint32_t left = rows - r;
            struct score_args g = { s + r * PARE_ATTN_PAGE + p * PARE_PANEL, tile + (uint64_t)p * dk * (f16 ? 2 : 4) * PARE_PANEL, x + r * ldx, ldx, dk };

            n = left == 8 ? 4 : left < SCORE_ROWS ? left : SCORE_ROWS; /* 4 and 4, not 6 and 2 */
            while (n > SCORE_ROWS || score_table[0][n][1] == NULL) n--;
            score_table[f16][n][np](&g);
        }
    }
}

/* The order of the comparisons may differ from plain C: the maximum is a number, and which zero it is shows nowhere. */
static float scale_max(float *s, float scale)
{
    v16 m = v_set1(-INFINITY), k = v_set1(scale);

    for (int i = 0; i < PARE_ATTN_PAGE; i += 16) {
        v16 x = v_mul(v_load(s + i), k);
        v_store(s + i, x);
        m = v_max(x, m); /* a NaN, as first operand, never wins */
    }
    return v_top(m);
}

static float exp_sum(float *s, float m)
{
    v16 l = v_set1(0.0f), vm = v_set1(m);

    for (int i = 0; i < PARE_ATTN_PAGE; i += 16) {
        v16 p = vm_exp_above(v_sub(v_load(s + i), vm), PARE_ATTN_EXP_LO);
        v_store(s + i, p);
        l = v_add(l, p);
    }
    return v_tree(l);
}

static const struct pare_attn_ops attn_ops = {
    .values_f32 = values_f32, .values_f16 = values_f16, .values_rows = values_rows, .scores = scores,
    .decode_f16 = decode_f16, .decode_tile = decode_tile, .scale_max = scale_max, .exp_sum = exp_sum,
};

#endif
