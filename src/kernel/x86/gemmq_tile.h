/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/gemmq_tile.h: the quantized product of the x86 tiers, for any vector width. A template: the including file
 * defines vectors and operations (gemmq_avx2.c, gemmq_zmm.h) and how four codes meet four activations:
 *
 *     VSTEP, PARTS    bytes of a vector; parts a panel is worked on in (2 with 32 bytes, rows 0..7 and 8..15)
 *     dot(acc, w, n, x, cls)   acc += codes of the vectors w[0..n) times x[0..4n), exact, n = 4 or 8
 *     TILE_TOKENS, DENSE_TILES, DIRECT_TOKENS, DIRECT_TILES   how many tokens there are kernels for, at most 16 and 8
 *     PARE_DOT4(acc, w, x)   instead of dot: one vector of codes times x[0..4)
 *     code_class(kind), code_bias(kind, offset)   which form of dot, and what a code in that form is too small by
 *     PARE_FOLD(v, s, offset, fold)   a tier may have it: bytes s * (code + offset) + fold, s the whole-number scales of the rows
 *
 * Two ways through a matrix, one recipe (ref/gemmq_ref.c):
 *   direct   1..8 tokens: each panel is streamed once, codes live in registers only. Reading memory is the limit.
 *   dense    more tokens: a few panels are unpacked, 1024 columns at a time, into bytes and f32 scales on the stack, and all
 *            tokens pass over them in tiles. Partial sums wait in y; an f32 in memory is the f32 that was in the register.
 * The integer part is exact, so the order of its sums is free; the float part is one chain per output as in the recipe. */
#ifndef PARE_KERNEL_X86_GEMMQ_TILE_H
#define PARE_KERNEL_X86_GEMMQ_TILE_H

#include <string.h>

#include "kernel/x86/gemmq_dense.h"
#include "kernel/x86/gemmq_direct.h"
#include "tensor/trellis.h"

#define DENSE_PANELS 8  /* panels unpacked at once */
#define DIRECT_MAX 8    /* tokens of the direct way; in turns of DIRECT_TOKENS over a panel, the second out of the cache */

/* ---- tables: one function for each shape of the inner loop ---- */

typedef void (*direct_fn)(const struct direct *);
typedef void (*dense_fn)(const struct dense *);
typedef void (*unpack_fn)(struct weight_tile *, const uint8_t *, const uint8_t *, uint32_t, const int8_t *);

/* The combinations (codes, FORM_, minima) that formats use; others take the dense way even for one token. */
#define DIRECT_COMBOS(X)                                                                                               \
    X(A2, 0, 0) X(A2, 2, 1) X(A3, 1, 0) X(A3, 2, 0) X(A4, 0, 0) X(A4, 0, 1) X(A5, 0, 0) X(A5, 0, 1) X(A6, 0, 0) X(A6, 1, 0) \
    X(A8, 0, 0) X(L2, 0, 0) X(L2, 1, 0) X(L3, 0, 0) X(L3, 1, 0) X(L4, 0, 0) \
    X(T2, 0, 0) X(T3, 0, 0) X(T4, 0, 0)

#ifdef PARE_CHECKED
#undef DIRECT_TILES
#define DIRECT_TILES(X, k, g, m) X(k, g, m, 1) X(k, g, m, 2) X(k, g, m, DIRECT_TOKENS)
#endif
#define DIRECT_ONE(k, g, m, n) \
    static void direct_##k##_##g##m##_##n(const struct direct *j) { direct(PARE_CODE_##k, g, m, n, j); }
#define DIRECT_ALL(k, g, m) DIRECT_TILES(DIRECT_ONE, k, g, m)
DIRECT_COMBOS(DIRECT_ALL)

#define DIRECT_ENTRY(k, g, m, n) [n] = direct_##k##_##g##m##_##n,
#define DIRECT_ROW(k, g, m) [PARE_CODE_##k][g][m] = { DIRECT_TILES(DIRECT_ENTRY, k, g, m) },
static const direct_fn direct_table[PARE_CODE_COUNT][FORMS][2][DIRECT_TOKENS + 1] = { DIRECT_COMBOS(DIRECT_ROW) };

#define DENSE_ONE(c, g, m, n) \
    static void dense_##c##_##g##m##_##n(const struct dense *j) { dense(c, g, m, n, j); }
#ifdef PARE_FOLD
#define FOLD_COMBOS(X, c) X(c, 3, 0) X(c, 3, 1)
#else
#define FOLD_COMBOS(X, c)
#endif
#define DENSE_COMBOS(X, c) X(c, 0, 0) X(c, 0, 1) X(c, 1, 0) X(c, 1, 1) X(c, 2, 0) X(c, 2, 1) FOLD_COMBOS(X, c)
#ifdef PARE_CHECKED
#undef DENSE_TILES
#define DENSE_TILES(X, c, g, m) X(c, g, m, 1) X(c, g, m, 2) X(c, g, m, TILE_TOKENS)
#endif
#define DENSE_ALL(c, g, m) DENSE_TILES(DENSE_ONE, c, g, m)
#define DENSE_CLASS(c) DENSE_COMBOS(DENSE_ALL, c)
DENSE_CLASSES(DENSE_CLASS)

#define DENSE_ENTRY(c, g, m, n) [n] = dense_##c##_##g##m##_##n,
#define DENSE_ROW(c, g, m) [c][g][m] = { DENSE_TILES(DENSE_ENTRY, c, g, m) },
#define DENSE_ROWS(c) DENSE_COMBOS(DENSE_ROW, c)
static const dense_fn dense_table[CLASS_COUNT][FORMS][2][TILE_TOKENS + 1] = { DENSE_CLASSES(DENSE_ROWS) };

#define UNPACK_ONE(k)                                                                                                  \
    static void unpack_##k(struct weight_tile *w, const uint8_t *p, const uint8_t *before, uint32_t n, const int8_t *lut) \
    {                                                                                                                  \
        unpack_blocks(PARE_CODE_##k, w, p, before, n, lut);                                                            \
    }
UNPACK_ONE(A2) UNPACK_ONE(A3) UNPACK_ONE(A4) UNPACK_ONE(A5) UNPACK_ONE(A6) UNPACK_ONE(A8) UNPACK_ONE(L2) UNPACK_ONE(L3) UNPACK_ONE(L4)
UNPACK_ONE(T2) UNPACK_ONE(T3) UNPACK_ONE(T4)
static const unpack_fn unpack_table[PARE_CODE_COUNT] = {
    unpack_A2, unpack_A3, unpack_A4, unpack_A5, unpack_A6, unpack_A8, unpack_L2, unpack_L3, unpack_L4,
    unpack_T2, unpack_T3, unpack_T4,
};

/* ---- a matrix ---- */

/* What a call works on. Outputs of a panel that is not whole go through a buffer, so that kernels always have 16 rows. */
struct pass {
    float *y;
    uint64_t ldy;
    const struct pare_packed *w;
    const struct pare_qact *a;
    struct pare_layout l;
    int32_t bias;
    int8_t lut[TABLES * 16]; /* as the tier's dot wants table values */
};

/* Room for a block of codes of a trellis. */
#define WRAP_BYTES 256

/* The block before block b: before the first, the last one with its columns moved on by one of four (pare_trellis_wrap). */
static const uint8_t *block_before(uint8_t wrap[WRAP_BYTES], const struct pass *s, const uint8_t *panel, uint32_t b)
{
    const uint8_t *codes = panel + s->l.codes_at;

    if (s->l.kind < PARE_CODE_T2) return codes; /* not looked at */
    if (b != 0) return codes + (uint64_t)(b - 1) * s->l.block_bytes;
    codes += (uint64_t)(s->l.n_block - 1) * s->l.block_bytes;
    for (uint32_t i = 0; i < s->l.block_bytes; i += 4) {
        uint32_t w;

        memcpy(&w, codes + i, sizeof w);
        w = w << 8 | w >> 24;
        memcpy(wrap + i, &w, sizeof w);
    }
    return wrap;
}

static void take_tables(struct pass *s, const struct pare_pack_traits *p)
{
    const struct pare_trellis *t = p->trellis;

    if (p->lut != NULL)
        for (int i = 0; i < 1 << p->bits; i++) s->lut[i] = code_lut(p->lut[i]);
    if (t == NULL) return;
    memcpy(s->lut, t->mix, sizeof t->mix);
    memcpy(s->lut + 64, t->high, sizeof t->high);
    for (int i = 0; i < 16; i++) s->lut[48 + i] = code_lut((int8_t)(t->low[i] + (t->bits == 2 ? t->high[0] : 0)));
}

static uint32_t panel_rows(const struct pass *s, uint32_t panel)
{
    uint64_t left = s->w->rows - (uint64_t)panel * PARE_PANEL;

    return left < PARE_PANEL ? (uint32_t)left : PARE_PANEL;
}

static void copy_rows(float *dst, uint64_t ldd, const float *src, uint64_t lds, uint32_t rows, uint32_t n)
{
    for (uint32_t t = 0; t < n; t++) memcpy(dst + t * ldd, src + t * lds, rows * sizeof(float));
}

/* Tokens t0 .. t0 + n of one panel; corr is that of token t0. */
static void direct_turn(const struct pass *s, struct direct *j, uint32_t panel, uint32_t n)
{
    const direct_fn fn = direct_table[s->l.kind][form_of(&s->l)][s->l.min][n];
    float *y = s->y + j->t0 * s->ldy + (uint64_t)panel * PARE_PANEL, part[DIRECT_TOKENS][PARE_PANEL];
    const uint32_t rows = panel_rows(s, panel);
    const bool whole = rows == PARE_PANEL;

    j->y = whole ? y : part[0];
    j->ldy = whole ? s->ldy : PARE_PANEL;
    if (!whole && j->b0 != 0) copy_rows(part[0], PARE_PANEL, y, s->ldy, rows, n);
    fn(j);
    if (!whole) copy_rows(y, s->ldy, part[0], PARE_PANEL, rows, n);
}

/* The greatest number of tokens up to left that a kernel exists for. */
static uint32_t direct_for(uint32_t left)
{
    uint32_t n = left < DIRECT_TOKENS ? left : DIRECT_TOKENS;

    while (direct_table[PARE_CODE_A8][0][0][n] == NULL) n--;
    return n;
}

static void run_direct(const struct pass *s, uint32_t p0, uint32_t p1, uint32_t t0, uint32_t t1)
{
    int32_t corr[DIRECT_MAX][2 * DIRECT_BLOCKS];
    struct direct j = { .l = &s->l, .a = s->a, .lut = s->lut };
    uint8_t wrap[WRAP_BYTES];

    for (j.b0 = 0; j.b0 < s->l.n_block; j.b0 += DIRECT_BLOCKS) {
        j.n = s->l.n_block - j.b0 < DIRECT_BLOCKS ? s->l.n_block - j.b0 : DIRECT_BLOCKS;
        for (uint32_t t = t0; t < t1; t++)
            for (uint32_t b = 0; b < j.n; b += PARE_QRUN)
                corrections(corr[t - t0] + b * s->l.gpb, s->a, t, j.b0 + b, j.n - b < PARE_QRUN ? j.n - b : PARE_QRUN, s->l.gpb, s->bias);
        for (uint32_t p = p0; p < p1; p++) {
            j.panel = s->w->data + p * s->w->panel_bytes;
            j.before = block_before(wrap, s, j.panel, j.b0);
            for (uint32_t n = j.t0 = t0; j.t0 < t1; j.t0 += n) {
                n = direct_for(t1 - j.t0);
                j.corr = corr + (j.t0 - t0);
                direct_turn(s, &j, p, n);
            }
        }
    }
}

/* One tile of activations over the unpacked panels. */
static void run_tile(const struct pass *s, struct dense *j, dense_fn fn, const struct weight_tile *w, uint32_t p0, uint32_t n_panel, uint32_t t0, uint32_t n)
{
    float part[TILE_TOKENS][PARE_PANEL];

    for (uint32_t i = 0; i < n_panel; i++) {
        float *y = s->y + t0 * s->ldy + (uint64_t)(p0 + i) * PARE_PANEL;
        uint32_t rows = panel_rows(s, p0 + i);
        bool whole = rows == PARE_PANEL;

        j->w = w + i;
        j->y = whole ? y : part[0];
        j->ldy = whole ? s->ldy : PARE_PANEL;
        if (!whole && !j->first) copy_rows(part[0], PARE_PANEL, y, s->ldy, rows, n);
        fn(j);
        if (!whole) copy_rows(y, s->ldy, part[0], PARE_PANEL, rows, n);
    }
}

/* The greatest tile that a kernel exists for. */
static uint32_t tile_for(uint32_t left)
{
    while (left > 1 && (left > TILE_TOKENS || dense_table[0][0][0][left] == NULL)) left = left > TILE_TOKENS ? TILE_TOKENS : left - 1;
    return left;
}

static void run_dense(const struct pass *s, uint32_t p0, uint32_t p1, uint32_t t0, uint32_t t1)
{
    struct weight_tile w[DENSE_PANELS] __attribute__((aligned(64)));
    struct act_tile x __attribute__((aligned(64)));
    struct dense j = { .x = &x };
    uint8_t wrap[WRAP_BYTES];
    const bool folded = dense_table[0][FORM_FOLD][0][1] != NULL && s->l.int_sub && t1 - t0 >= FOLD_TOKENS;
    const int form = folded ? FORM_FOLD : form_of(&s->l);

    for (int t = 0; t < TILE_TOKENS; t++) /* stays so when codes need no correction */
        for (uint32_t g = 0; g < 2 * DENSE_BLOCKS; g++) x.corr[t][g] = PARE_LIFT_BITS;
    for (uint32_t n_panel; p0 < p1; p0 += n_panel) {
        n_panel = p1 - p0 < DENSE_PANELS ? p1 - p0 : DENSE_PANELS;
        for (uint32_t b = 0; b < s->l.n_block; b += DENSE_BLOCKS) {
            j.first = b == 0;
            j.n = s->l.n_block - b < DENSE_BLOCKS ? s->l.n_block - b : DENSE_BLOCKS;
            for (uint32_t i = 0; i < n_panel; i++) {
                const uint8_t *panel = s->w->data + (p0 + i) * s->w->panel_bytes;

                unpack_table[s->l.kind](&w[i], panel + s->l.codes_at + (uint64_t)b * s->l.block_bytes, block_before(wrap, s, panel, b), j.n,
                                        s->lut);
                unpack_scales(&w[i], &s->l, panel, b, j.n, folded ? s->w->type : NULL);
            }
            for (uint32_t t = t0, n; t < t1; t += n) {
                n = tile_for(t1 - t);
                find_acts(&x, s->a, s->l.gpb, folded ? 1 : s->l.gpb, folded ? -s->w->type->pack.fold : s->bias, t, n, b, j.n);
                run_tile(s, &j, dense_table[code_class(s->l.kind)][form][s->l.min][n], w, p0, n_panel, t, n);
            }
        }
    }
}

static void gemm(float *y, uint64_t ldy, const struct pare_packed *w, const struct pare_qact *a, uint32_t p0, uint32_t p1,
                 uint32_t t0, uint32_t t1)
{
    struct pass s = { .y = y, .ldy = ldy, .w = w, .a = a };
    const struct pare_pack_traits *p = &w->type->pack;

    if (!pare_layout_of(&s.l, w->type, w->cols)) return; /* pare_packed_shape refused it already */
    if (s.l.n_block == 0) {
        for (uint32_t t = t0; t < t1; t++)
            for (uint64_t r = (uint64_t)p0 * PARE_PANEL; r < (uint64_t)p1 * PARE_PANEL && r < w->rows; r++) y[t * ldy + r] = 0;
        return;
    }
    s.bias = code_bias(s.l.kind, p->offset);
    take_tables(&s, p);
    if (t1 <= t0) return;
    if (t1 - t0 <= DIRECT_MAX && direct_table[s.l.kind][form_of(&s.l)][s.l.min][1] != NULL)
        run_direct(&s, p0, p1, t0, t1);
    else
        run_dense(&s, p0, p1, t0, t1);
}

#endif
