/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/sparse_float_x86.h: the float formats, once, in the words of v16_*.h. A tier says how packed values are spread:
 * spread_f32(p, mask) and spread_f16(p, mask), lane r of the result being the next value where bit r is set, else +0; where it can spread two
 * columns of f16 as they are, SPREAD_TWO(p, mask of 32 bits, to) does, and SPREAD_TWO is 1.
 *
 * One token at a time is fed from registers. For more, columns are spread into a dense tile in the first cache and multiplied from there,
 * so that finding the weights is paid once for all tokens. A tile of f16 stays f16: half the bytes to clear and to read, and the
 * conversion comes with the load. */
#ifndef PARE_KERNEL_X86_SPARSE_FLOAT_H
#define PARE_KERNEL_X86_SPARSE_FLOAT_H

#include <string.h>

#include "kernel/sparse_layout.h"

#define SPARSE_ARGS                                                                                                    \
    float *y, uint64_t ldy, const struct pare_sparse *s, const float *x, uint64_t ldx, const struct pare_qact *a, uint32_t n, uint32_t p0, uint32_t p1
#define SPARSE_TOKENS 8u /* at once */
#ifndef SPREAD_TWO
#define SPREAD_TWO 0
#endif

#define TILE_BYTES(f16) ((PARE_SPARSE_TILE + 1) * ((f16) ? 32u : 64u))
typedef float sparse_lanes[SPARSE_TOKENS][16][16] __attribute__((aligned(64))); /* [token][c mod 16][row] */

/* The tree over sixteen vectors: what the 16-lane rule does inside of one. */
static void sparse_finish(const struct pare_sparse *s, uint32_t panel, float *y, uint64_t ldy, sparse_lanes lanes, uint32_t tokens)
{
    float acc[16] __attribute__((aligned(64)));

    for (uint32_t t = 0; t < tokens; t++) {
        v16 l[8]; /* l[j] + l[j + 8], ... */

#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) l[j] = v_add(v_load(lanes[t][j]), v_load(lanes[t][j + 8]));
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) l[j] = v_add(l[j], l[j + 4]);
        v_store(acc, v_add(v_add(l[0], l[2]), v_add(l[1], l[3])));
        pare_sparse_put(s, panel, y + t * ldy, acc);
    }
}

V16 v16 sparse_value(int f16, const uint8_t *p) { return f16 ? v_load_f16(p) : v_load((const float *)(const void *)p); }

/* Columns of a tile, whole sixteens, for `tokens` tokens and `wide` classes of c mod 16 from j on: tokens * wide chains. */
V16 void sparse_classes(int f16, const uint8_t *tile, uint32_t whole, const float *x, uint64_t ldx, sparse_lanes lanes, int tokens, int wide, uint32_t j)
{
    v16 acc[SPARSE_TOKENS][8];

#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++) {
#pragma GCC unroll 8
        for (int i = 0; i < wide; i++) acc[t][i] = v_load(lanes[t][j + (unsigned)i]);
    }
    for (uint32_t c = j; c < whole; c += 16) {
#pragma GCC unroll 8
        for (int i = 0; i < wide; i++) {
            const v16 w = sparse_value(f16, tile + (c + (unsigned)i) * (f16 ? 32u : 64u));

#pragma GCC unroll 8
            for (int t = 0; t < tokens; t++) acc[t][i] = v_fma(w, v_set1(x[(unsigned)t * ldx + c + (unsigned)i]), acc[t][i]);
        }
    }
#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++) {
#pragma GCC unroll 8
        for (int i = 0; i < wide; i++) v_store(lanes[t][j + (unsigned)i], acc[t][i]);
    }
}

#define SPARSE_TILE_FN(f16, tokens, wide)                                                                              \
    static void sparse_tile_##f16##_##tokens(const uint8_t *tile, uint32_t whole, const float *x, uint64_t ldx, sparse_lanes lanes) \
    {                                                                                                                  \
        for (uint32_t j = 0; j < 16; j += (wide)) sparse_classes(f16, tile, whole, x, ldx, lanes, tokens, wide, j);    \
    }
SPARSE_TILE_FN(0, 1, 8) SPARSE_TILE_FN(0, 2, 4) SPARSE_TILE_FN(0, 4, 2) SPARSE_TILE_FN(0, 8, 2)
SPARSE_TILE_FN(1, 1, 8) SPARSE_TILE_FN(1, 2, 4) SPARSE_TILE_FN(1, 4, 2) SPARSE_TILE_FN(1, 8, 2)

/* cols columns of a tile; x stands at the tile's first. */
static void sparse_product(int f16, const uint8_t *tile, uint32_t cols, const float *x, uint64_t ldx, sparse_lanes lanes, uint32_t tokens)
{
    static void (*const fn[2][9])(const uint8_t *, uint32_t, const float *, uint64_t, sparse_lanes) = {
        { [1] = sparse_tile_0_1, [2] = sparse_tile_0_2, [4] = sparse_tile_0_4, [8] = sparse_tile_0_8 },
        { [1] = sparse_tile_1_1, [2] = sparse_tile_1_2, [4] = sparse_tile_1_4, [8] = sparse_tile_1_8 },
    };
    const uint32_t whole = cols & ~15u;

    for (uint32_t t = 0, k; t < tokens; t += k) {
        k = tokens - t >= 8 ? 8 : tokens - t >= 4 ? 4 : tokens - t >= 2 ? 2 : 1;
        fn[f16][k](tile, whole, x + t * ldx, ldx, lanes + t);
    }
    for (uint32_t c = whole; c < cols; c++)
        for (uint32_t t = 0; t < tokens; t++)
            v_store(lanes[t][c & 15], v_fma(sparse_value(f16, tile + c * (f16 ? 32u : 64u)), v_set1(x[t * ldx + c]), v_load(lanes[t][c & 15])));
}

/* Memory is read once, from the beginning to the end: what comes a little later is asked for early, the near part into the first cache. */
V16 void sparse_ahead(const uint8_t *p)
{
    __builtin_prefetch(p + 2048, 0, 2);
    __builtin_prefetch(p + 512, 0, 3);
}

/* Puts n pairs (a multiple of 16) into a tile of f16. */
static void sparse_scatter(uint16_t *tile, const uint8_t *pairs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 16, pairs += 64) {
        sparse_ahead(pairs);
#pragma GCC unroll 4
        for (int k = 0; k < 32; k += 8) {
            const uint64_t at = pare_le64(pairs + k), v = pare_le64(pairs + 32 + k);

            tile[at & 0xffff] = (uint16_t)v;
            tile[at >> 16 & 0xffff] = (uint16_t)(v >> 16);
            tile[at >> 32 & 0xffff] = (uint16_t)(v >> 32);
            tile[at >> 48] = (uint16_t)(v >> 48);
        }
    }
}

static void sparse_tiled(SPARSE_ARGS)
{
    uint16_t     tile[TILE_BYTES(1) / 2] __attribute__((aligned(64)));
    sparse_lanes lanes;

    (void)a;
    for (uint32_t p = p0; p < p1; p++)
        for (uint32_t t = 0, k; t < n; t += k) {
            const uint8_t *head = s->data + s->at[p], *at = head + pare_sparse_up64(pare_sparse_tiles(s) * 4ull);

            k = n - t < SPARSE_TOKENS ? n - t : SPARSE_TOKENS;
            memset(lanes, 0, k * sizeof lanes[0]);
            for (uint64_t c0 = 0; c0 < s->cols; c0 += PARE_SPARSE_TILE) {
                const uint32_t cols = s->cols - c0 < PARE_SPARSE_TILE ? (uint32_t)(s->cols - c0) : PARE_SPARSE_TILE, pairs = pare_le32(head + c0 / PARE_SPARSE_TILE * 4);

                memset(tile, 0, sizeof tile);
                sparse_scatter(tile, at, pairs);
                sparse_product(1, (const uint8_t *)tile, cols, x + t * ldx + c0, ldx, lanes, k);
                at += 4ull * pairs;
            }
            sparse_finish(s, p, y + t * ldy, ldy, lanes, k);
        }
}

V16 v16 sparse_spread(int f16, const uint8_t *p, uint32_t m) { return f16 ? spread_f16(p, m) : spread_f32(p, m); }

/* One token: sixteen chains in registers, c mod 16 known to the compiler. */
V16 void sparse_mask_one(int f16, const uint8_t *mask, const uint8_t *values, uint64_t cols, const float *x, sparse_lanes lanes)
{
    v16      acc[16];
    uint64_t c = 0;

#pragma GCC unroll 16
    for (int j = 0; j < 16; j++) acc[j] = v_set1(0.0f);
    for (; c + 16 <= cols; c += 16) {
#pragma GCC unroll 16
        for (unsigned j = 0; j < 16; j++) {
            const uint32_t m = pare_le16(mask + 2 * (c + j));

            if (j % 2 == 0) sparse_ahead(values);
            acc[j] = v_fma(sparse_spread(f16, values, m), v_set1(x[c + j]), acc[j]);
            values += (unsigned)__builtin_popcount(m) * (f16 ? 2u : 4u);
        }
    }
#pragma GCC unroll 16
    for (int j = 0; j < 16; j++) v_store(lanes[0][j], acc[j]);
    for (; c < cols; c++) {
        const uint32_t m = pare_le16(mask + 2 * c);

        v_store(lanes[0][c & 15], v_fma(sparse_spread(f16, values, m), v_set1(x[c]), v_load(lanes[0][c & 15])));
        values += (unsigned)__builtin_popcount(m) * (f16 ? 2u : 4u);
    }
}

/* Columns [0, k) of a tile; gives where the next values lie. */
V16 const uint8_t *sparse_fill(int f16, uint8_t *tile, const uint8_t *mask, const uint8_t *values, uint32_t k)
{
    for (uint32_t c = 0; c < k; c++) {
        const uint32_t m = pare_le16(mask + 2ull * c);

        sparse_ahead(values);
        v_store((float *)(void *)(tile + c * 64ull), sparse_spread(f16, values, m));
        values += (unsigned)__builtin_popcount(m) * (f16 ? 2u : 4u);
    }
    return values;
}
#if SPREAD_TWO
/* Pairs of columns; behind an odd last one of the matrix stand padding masks of 0. */
V16 const uint8_t *sparse_fill_two(uint8_t *tile, const uint8_t *mask, const uint8_t *values, uint32_t k)
{
    for (uint32_t c = 0; c < k; c += 2) {
        const uint32_t m = pare_le32(mask + 2ull * c);

        sparse_ahead(values);
        spread_two(tile + c * 32ull, values, m);
        values += (unsigned)__builtin_popcount(m) * 2u;
    }
    return values;
}
#endif

V16 void sparse_mask_many(int f16, const uint8_t *mask, const uint8_t *values, uint64_t cols, const float *x, uint64_t ldx, sparse_lanes lanes, uint32_t tokens)
{
    const int half = f16 && SPREAD_TWO;
    uint8_t   tile[TILE_BYTES(0)] __attribute__((aligned(64)));

    memset(lanes, 0, tokens * sizeof lanes[0]);
    for (uint64_t c0 = 0; c0 < cols; c0 += PARE_SPARSE_TILE) {
        const uint32_t k = cols - c0 < PARE_SPARSE_TILE ? (uint32_t)(cols - c0) : PARE_SPARSE_TILE;

#if SPREAD_TWO
        if (f16) values = sparse_fill_two(tile, mask + 2 * c0, values, k);
        else
#endif
            values = sparse_fill(f16, tile, mask + 2 * c0, values, k);
        sparse_product(half, tile, k, x + c0, ldx, lanes, tokens);
    }
}

V16 void sparse_mask_float(int f16, SPARSE_ARGS)
{
    sparse_lanes lanes;

    (void)a;
    for (uint32_t p = p0; p < p1; p++)
        for (uint32_t t = 0, k; t < n; t += k) {
            const uint8_t *mask = s->data + s->at[p], *values = mask + pare_sparse_up64(s->cols * 2);

            k = n - t < SPARSE_TOKENS ? n - t : SPARSE_TOKENS;
            if (k == 1 && !(f16 && SPREAD_TWO)) sparse_mask_one(f16, mask, values, s->cols, x + t * ldx, lanes);
            else sparse_mask_many(f16, mask, values, s->cols, x + t * ldx, ldx, lanes, k);
            sparse_finish(s, p, y + t * ldy, ldy, lanes, k);
        }
}
static void sparse_mask_f32(SPARSE_ARGS) { sparse_mask_float(0, y, ldy, s, x, ldx, a, n, p0, p1); }
static void sparse_mask_f16(SPARSE_ARGS) { sparse_mask_float(1, y, ldy, s, x, ldx, a, n, p0, p1); }

/* A class of one panel: k columns whose indices and values follow each other; acc of each token one chain. */
V16 void sparse_wide_class(int f16, int tokens, const uint8_t *index, const uint8_t *values, uint32_t k, const float *x, uint64_t ldx, sparse_lanes lanes, uint32_t j)
{
    v16 acc[SPARSE_TOKENS];

#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++) acc[t] = v_set1(0.0f);
    for (uint32_t i = 0; i < k; i++) {
        const uint64_t c = pare_le16(index + 2ull * i) * 16ull + j;
        const v16      w = sparse_value(f16, values + i * (f16 ? 32ull : 64ull));

        if (!f16 || i % 2 == 0) sparse_ahead(values + i * (f16 ? 32ull : 64ull));
#pragma GCC unroll 8
        for (int t = 0; t < tokens; t++) acc[t] = v_fma(w, v_set1(x[(unsigned)t * ldx + c]), acc[t]);
    }
#pragma GCC unroll 8
    for (int t = 0; t < tokens; t++) v_store(lanes[t][j], acc[t]);
}

V16 void sparse_wide_tokens(int f16, int tokens, const struct pare_sparse *s, uint32_t p, const float *x, uint64_t ldx, sparse_lanes lanes)
{
    const uint8_t *head = s->data + s->at[p], *index = head + 64, *values;
    uint64_t       all = 0;

    for (int j = 0; j < 16; j++) all += pare_le32(head + 4 * j);
    values = head + pare_sparse_up64(64 + 2 * all);
    for (uint32_t j = 0; j < 16; j++) {
        const uint32_t k = pare_le32(head + 4ull * j);

        sparse_wide_class(f16, tokens, index, values, k, x, ldx, lanes, j);
        index += 2ull * k;
        values += k * (f16 ? 32ull : 64ull);
    }
}

#define SPARSE_WIDE(f16, tokens)                                                                                       \
    static void sparse_wide_##f16##_##tokens(const struct pare_sparse *s, uint32_t p, const float *x, uint64_t ldx, sparse_lanes lanes) \
    {                                                                                                                  \
        sparse_wide_tokens(f16, tokens, s, p, x, ldx, lanes);                                                          \
    }
SPARSE_WIDE(0, 1) SPARSE_WIDE(0, 2) SPARSE_WIDE(0, 4) SPARSE_WIDE(0, 8)
SPARSE_WIDE(1, 1) SPARSE_WIDE(1, 2) SPARSE_WIDE(1, 4) SPARSE_WIDE(1, 8)

static void sparse_wide(SPARSE_ARGS)
{
    static void (*const fn[2][9])(const struct pare_sparse *, uint32_t, const float *, uint64_t, sparse_lanes) = {
        { [1] = sparse_wide_0_1, [2] = sparse_wide_0_2, [4] = sparse_wide_0_4, [8] = sparse_wide_0_8 },
        { [1] = sparse_wide_1_1, [2] = sparse_wide_1_2, [4] = sparse_wide_1_4, [8] = sparse_wide_1_8 },
    };
    sparse_lanes lanes;

    (void)a;
    for (uint32_t p = p0; p < p1; p++)
        for (uint32_t t = 0, k; t < n; t += k) {
            k = n - t >= 8 ? 8 : n - t >= 4 ? 4 : n - t >= 2 ? 2 : 1;
            fn[s->type == PARE_F16][k](s, p, x + t * ldx, ldx, lanes);
            sparse_finish(s, p, y + t * ldy, ldy, lanes, k);
        }
}

#endif
