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

/* Rows that go over a block of a tile together: their sums of 32 columns stay in registers. */
#ifdef __AVX512F__
#define TILE_ROWS 8
#else
#define TILE_ROWS 2
#endif

/* Sixteen columns from i on of a row dv wide. */
V16 v16 load_cut(const float *o, uint32_t i, uint32_t dv)
{
    return i + 16 <= dv ? v_load(o + i) : i < dv ? v_load_n(o + i, dv - i) : v_set1(0.0f);
}
V16 void store_cut(float *o, v16 x, uint32_t i, uint32_t dv)
{
    if (i + 16 <= dv) v_store(o + i, x);
    else if (i < dv) v_store_n(o + i, x, dv - i);
}

typedef float tile_weights[TILE_ROWS][PARE_ATTN_PAGE]; /* p * d */

#define TILE_BLOCK(name, rows)                                                                                         \
    static void block_##name##_##rows(float *const *o, tile_weights w, const uint8_t *c, uint64_t stride, uint32_t i,  \
                                      uint32_t dv, uint32_t j0, uint32_t j1)                                           \
    {                                                                                                                  \
        v16 a[rows][2], x[2];                                                                                          \
                                                                                                                       \
        _Pragma("GCC unroll 8")                                                                                        \
        for (int r = 0; r < rows; r++) {                                                                               \
            a[r][0] = load_cut(o[r], i, dv);                                                                           \
            a[r][1] = load_cut(o[r], i + 16, dv);                                                                      \
        }                                                                                                              \
        for (uint32_t j = j0; j < j1; j++) {                                                                           \
            tile_##name(x, c + j * stride);                                                                            \
            _Pragma("GCC unroll 8")                                                                                    \
            for (int r = 0; r < rows; r++) {                                                                           \
                const v16 b = v_set1(w[r][j]);                                                                         \
                a[r][0] = v_fma(b, x[0], a[r][0]);                                                                     \
                a[r][1] = v_fma(b, x[1], a[r][1]);                                                                     \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("GCC unroll 8")                                                                                        \
        for (int r = 0; r < rows; r++) {                                                                               \
            store_cut(o[r], a[r][0], i, dv);                                                                           \
            store_cut(o[r], a[r][1], i + 16, dv);                                                                      \
        }                                                                                                              \
    }
#ifdef __AVX512F__
#define TILE_BLOCKS(name) TILE_BLOCK(name, 1) TILE_BLOCK(name, 2) TILE_BLOCK(name, 4) TILE_BLOCK(name, 8)
#define TILE_TABLE(name) { NULL, block_##name##_1, block_##name##_2, NULL, block_##name##_4, NULL, NULL, NULL, block_##name##_8 }
#else
#define TILE_BLOCKS(name) TILE_BLOCK(name, 1) TILE_BLOCK(name, 2)
#define TILE_TABLE(name) { NULL, block_##name##_1, block_##name##_2 }
#endif
TILE_BLOCKS(q8)
TILE_BLOCKS(q5)
TILE_BLOCKS(q4)

typedef void (*tile_block_fn)(float *const *o, tile_weights w, const uint8_t *c, uint64_t stride, uint32_t i, uint32_t dv, uint32_t j0,
                              uint32_t j1);
static const tile_block_fn tile_blocks[3][TILE_ROWS + 1] = { TILE_TABLE(q8), TILE_TABLE(q5), TILE_TABLE(q4) };

static void values_tile(float *const *o, uint32_t rows, const float *p, const uint8_t *tile, enum pare_type type, uint32_t dv, uint32_t j0,
                        uint32_t j1)
{
    const uint8_t       *codes = tile + pare_vtile_codes_at(dv);
    const uint32_t       bytes = pare_vtile_code(type), blocks = (dv + 31) / 32;
    const tile_block_fn *fn = tile_blocks[type == PARE_Q8_0 ? 0 : type == PARE_Q5_0 ? 1 : 2];

    for (uint32_t r = 0, n; r < rows; r += n) {
        tile_weights w;

        for (n = TILE_ROWS; n > rows - r;) n /= 2;
        for (uint32_t b = 0; b < blocks; b++) {
            for (uint32_t k = j0 / 16 * 16; k < j1; k += 16) {
                const v16 d = v_load_f16(tile + 2 * ((uint64_t)b * PARE_ATTN_PAGE + k));

                for (uint32_t e = 0; e < n; e++) v_store(w[e] + k, v_mul(v_load(p + (r + e) * PARE_ATTN_PAGE + k), d));
            }
            fn[n](o + r, w, codes + b * bytes, (uint64_t)blocks * bytes, 32 * b, dv, j0, j1);
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
        v16 p = vm_exp(v_sub(v_load(s + i), vm));
        v_store(s + i, p);
        l = v_add(l, p);
    }
    return v_tree(l);
}

static const struct pare_attn_ops attn_ops = {
    .values_f32 = values_f32, .values_f16 = values_f16, .values_rows = values_rows, .values_tile = values_tile,
    .decode_f16 = decode_f16, .scale_max = scale_max, .exp_sum = exp_sum,
};

#endif
