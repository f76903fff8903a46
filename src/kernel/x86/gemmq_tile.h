/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/gemmq_tile.h: the quantized product of the x86 tiers, for any vector width. A template: the including file
 * defines vectors and operations (gemmq_avx2.c, gemmq_zmm.h) and how four codes meet four activations:
 *
 *     VSTEP, PARTS    bytes of a vector; parts a panel is worked on in (2 with 32 bytes, rows 0..7 and 8..15)
 *     dot(acc, w, n, x, cls)   acc += codes of the vectors w[0..n) times x[0..4n), exact, n = 4 or 8
 *     TILE_TOKENS, DENSE_TILES, DIRECT_TOKENS, DIRECT_TILES   how many tokens there are kernels for, at most 16 and 8
 *     PARE_DOT4(acc, w, x)   instead of dot: one vector of codes times x[0..4)
 *     code_class(kind), code_bias(kind, offset)   which form of dot, and what a code in that form is too small by
 *     PARE_FOLD(v, s, add)    a tier may have it: 64 codes times the whole-number scales of their rows plus a byte, as bytes
 *
 * Two ways through a matrix, one recipe (ref/gemmq_ref.c):
 *   direct   1..8 tokens: each panel is streamed once, codes live in registers only. Reading memory is the limit.
 *   dense    more tokens: a few panels are unpacked, 1024 columns at a time, into bytes and f32 scales on the stack, and all
 *            tokens pass over them in tiles. Partial sums wait in y; an f32 in memory is the f32 that was in the register.
 * The integer part is exact, so the order of its sums is free; the float part is one chain per output as in the recipe. */
#ifndef PARE_KERNEL_X86_GEMMQ_TILE_H
#define PARE_KERNEL_X86_GEMMQ_TILE_H

#include <string.h>

#include "kernel/x86/gemmq_unpack.h"

#define LANES (PARE_PANEL / PARTS)

/* Loops over tokens are unrolled so that accumulators live in registers. With a sanitizer's check before every load the same
 * code takes minutes to compile; there the loops stay loops, and tiles are small. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PARE_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define PARE_CHECKED 1
#endif
#endif
#ifdef PARE_CHECKED
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define DENSE_BLOCKS PARE_QRUN /* 1024 columns: an unpacked panel (20 to 32 KB) and a tile of activations (12 KB) share the first cache */
#define DENSE_PANELS 8  /* panels unpacked at once */
#define DIRECT_MAX 8    /* tokens of the direct way; in turns of DIRECT_TOKENS over a panel, the second out of the cache */
#define DIRECT_BLOCKS 256 /* corrections are computed for 8192 columns at a time */

/* ---- scales ---- */

/* Where the headers of a panel are read: one super block after the other. */
struct heads {
    const uint8_t *head, *group; /* of the block that comes next */
    uint32_t left;               /* blocks left in this super block */
};

ALWAYS struct heads heads_at(const struct pare_layout *l, const uint8_t *panel, uint32_t block)
{
    uint32_t in = block % l->super_blocks;
    struct heads h;

    h.head = panel + block / l->super_blocks * l->head_bytes;
    h.group = h.head + l->group_at + (uint64_t)in * l->gpb * l->group_bytes;
    h.left = l->super_blocks - in;
    return h;
}

/* How the groups of a block are multiplied: one of 32 columns; two of 16; two of 16 whose scales are part of the integer sum (int_sub), and
 * the same after codes were folded with them, which is worth it for many tokens. */
enum { FORM_32, FORM_16, FORM_INT, FORM_FOLD, FORMS };
#define FOLD_TOKENS 40

ALWAYS int form_of(const struct pare_layout *l) { return l->int_sub ? FORM_INT : l->gpb == 2 ? FORM_16 : FORM_32; }
ALWAYS int groups_of(int form) { return form == FORM_32 ? 1 : 2; }

/* dw = d * s (s alone with FORM_INT) and mm = dmin * m of the next group of this part's rows. */
ALWAYS void next_group(struct heads *h, const struct pare_layout *l, int part, int form, int min, VF d, VF dmin, VF *dw, VF *mm)
{
    const uint8_t *g = h->group + part * LANES;

    *dw = form == FORM_INT ? vf_from_s8(g) : l->sub ? vf_mul(d, vf_from_s8(g)) : d;
    if (min) *mm = l->sub ? vf_mul(dmin, vf_from_u8(g + PARE_PANEL)) : dmin;
    h->group += l->group_bytes;
}

ALWAYS void load_head(const struct heads *h, const struct pare_layout *l, int part, int min, VF *d, VF *dmin)
{
    const uint8_t *p = h->head + (unsigned)part * l->d_bytes / PARTS;

    *d = l->f16 ? vf_from_f16(p) : vf_load(p);
    if (min) *dmin = l->f16 ? vf_from_f16(p + l->d_bytes) : vf_load(p + l->d_bytes);
}

ALWAYS void end_block(struct heads *h, const struct pare_layout *l)
{
    if (--h->left != 0) return;
    h->head += l->head_bytes;
    h->group = h->head + l->group_at;
    h->left = l->super_blocks;
}

/* ---- one group: the float part of the recipe ---- */

/* lifted: the group's integer sum on top of PARE_LIFT_BITS. */
ALWAYS VF add_group(VF acc, VI lifted, VF dw, VF mm, int min, float dx, float lift, float sx)
{
    acc = vf_fma(vf_fma(vf_bits(lifted), vf_set1(dx), vf_set1(lift)), dw, acc);
    return min ? vf_fnma(mm, vf_set1(sx), acc) : acc;
}

/* FORM_INT: s0 * sum0 + s1 * sum1, whole numbers below 2^24 and therefore exact in f32; then the same step. below is -PARE_LIFT * s0. */
ALWAYS VF add_groups(VF acc, VI lifted0, VI lifted1, VF s0, VF s1, VF below, VF d, float dx)
{
    const VF idot = vf_fma(vf_add(vf_bits(lifted1), vf_set1(-PARE_LIFT)), s1, vf_fma(vf_bits(lifted0), s0, below));

    return vf_fma(vf_mul(idot, vf_set1(dx)), d, acc);
}

/* idot[t] += codes of n vectors times the activations x of token t, rows of ldx bytes. The vectors are in w, or in memory from
 * code on. A tier that has a dot of one vector (PARE_DOT4) takes the tokens inside: neighbouring instructions then belong to
 * different chains. */
ALWAYS void dots(VI *idot, int tokens, const VI *w, const uint8_t *code, int n, const int8_t *x, uint64_t ldx, int cls)
{
#ifdef PARE_DOT4
    const int half = tokens < 4 && n == 8 ? 4 : n; /* few tokens are few chains: two short ones each */
    VI late[TILE_TOKENS];

    (void)cls;
    UNROLL
    for (int t = 0; t < tokens && half < n; t++) late[t] = vi_zero();
    UNROLL
    for (int i = 0; i < half; i++) {
        const VI v = w != NULL ? w[i] : vi_load(code + 64 * i), v2 = half == n ? v : w != NULL ? w[i + half] : vi_load(code + 64 * (i + half));

        UNROLL
        for (int t = 0; t < tokens; t++) {
            idot[t] = PARE_DOT4(idot[t], v, x + (unsigned)t * ldx + 4 * i);
            if (half < n) late[t] = PARE_DOT4(late[t], v2, x + (unsigned)t * ldx + 4 * (i + half));
        }
    }
    UNROLL
    for (int t = 0; t < tokens && half < n; t++) idot[t] = vi_add(idot[t], late[t]);
#else
    VI v[8];

    UNROLL
    for (int i = 0; i < n; i++) v[i] = w != NULL ? w[i] : vi_load(code + 64 * i);
    UNROLL
    for (int t = 0; t < tokens; t++, x += ldx) {
        idot[t] = dot(idot[t], v, 4, x, cls);
        if (n == 8) idot[t] = vi_add(idot[t], dot(vi_zero(), v + 4, 4, x + 16, cls)); /* two short chains, not one long one */
    }
#endif
}

/* Distances between the rows of a run. */
#define RUN_BYTES (PARE_QRUN * PARE_QBLOCK)

/* What the integer sum of group i begins at, for the groups of n_block blocks from b0 of token t, all in one run:
 * corr[i] = PARE_LIFT_BITS + bias * (sum of the activations of group i). */
ALWAYS void corrections(int32_t *corr, const struct pare_qact *a, uint64_t t, uint32_t b0, uint32_t n_block, uint32_t gpb, int32_t bias)
{
    const int32_t *sum = a->sum16 + 2 * pare_qact_block(a, t, b0);
    const VI k = vi_set32(bias), start = vi_set32(PARE_LIFT_BITS);
    uint32_t i = 0, n = n_block * gpb;

    if (gpb == 2) {
        for (; i + LANES <= n; i += LANES) vi_store(corr + i, vi_add(start, vi_mul(k, vi_load(sum + i))));
        for (; i < n; i++) corr[i] = PARE_LIFT_BITS + bias * sum[i];
    } else {
        for (; i + LANES <= n; i += LANES) vi_store(corr + i, vi_add(start, vi_mul(k, vi_pair_sums(sum + 2 * i))));
        for (; i < n; i++) corr[i] = PARE_LIFT_BITS + bias * (sum[2 * i] + sum[2 * i + 1]);
    }
}

/* ---- direct: few tokens ---- */

struct direct {
    const struct pare_layout *l;
    const uint8_t *panel;
    const struct pare_qact *a;
    const int32_t (*corr)[2 * DIRECT_BLOCKS];
    const int8_t *lut;   /* 16 bytes */
    float *y;            /* 16 outputs of the first token */
    uint64_t ldy;
    uint32_t b0, n, t0;  /* blocks b0 .. b0 + n, tokens from t0 */
};

/* Bytes ahead, in two steps: far ahead into the second-level cache, which can wait for three times as many lines as the first, and
 * near ahead into the first. Hardware stops at the end of a page. Past the last panel nothing is lost: a prefetch cannot fault. */
#define PREFETCH_FAR 6144
#define PREFETCH_NEAR 1024
#define PREFETCH_HEADS 1024

ALWAYS void direct(int kind, int form, int min, int tokens, const struct direct *j)
{
    const struct pare_layout *l = j->l;
    const int cls = code_class(kind), bits_bytes = code_bytes(kind), per = groups_of(form);
    const VI lut = vi_lut(j->lut);

    for (int part = 0; part < PARTS; part++) {
        const uint8_t *p = j->panel + l->codes_at + (uint64_t)j->b0 * (unsigned)bits_bytes + part * VSTEP;
        struct heads h = heads_at(l, j->panel, j->b0);
        VF acc[DIRECT_TOKENS], d = vf_zero(), dmin = vf_zero(), dw = vf_zero(), mm = vf_zero();
        const int8_t *q = NULL;
        const float *dx = NULL, *lift = NULL, *sx = NULL;
        bool fresh = true;

        UNROLL
        for (int t = 0; t < tokens; t++) acc[t] = j->b0 == 0 ? vf_zero() : vf_load(j->y + (unsigned)t * j->ldy + part * LANES);
        for (uint32_t b = 0; b < j->n; b++, p += bits_bytes, q += PARE_QBLOCK, dx++, lift++, sx += per) {
            VI w[8];

            if (b % PARE_QRUN == 0) {
                const uint64_t at = pare_qact_block(j->a, j->t0, j->b0 + b);

                q = j->a->q + at * PARE_QBLOCK;
                dx = j->a->d + at;
                lift = j->a->lift + at;
                sx = per == 2 ? j->a->s16 + 2 * at : j->a->s32 + at;
            }
            if (part == 0) {
                UNROLL
                for (int i = 0; i < bits_bytes; i += 64) {
                    __builtin_prefetch(p + PREFETCH_FAR + i, 0, 2);
                    __builtin_prefetch(p + PREFETCH_NEAR + i, 0, 3);
                }
                __builtin_prefetch(h.group + PREFETCH_HEADS);
            }
            if (fresh) load_head(&h, l, part, min, &d, &dmin);
            unpack(kind, w, p, lut);
            if (form == FORM_INT) {
                VI sum0[DIRECT_TOKENS], sum1[DIRECT_TOKENS];
                VF s1, m1 = vf_zero();

                next_group(&h, l, part, form, min, d, dmin, &dw, &mm);
                next_group(&h, l, part, form, min, d, dmin, &s1, &m1);
                UNROLL
                for (int t = 0; t < tokens; t++) {
                    sum0[t] = vi_set32(j->corr[t][2 * b]);
                    sum1[t] = vi_set32(j->corr[t][2 * b + 1]);
                }
                dots(sum0, tokens, w, NULL, 4, q, RUN_BYTES, cls);
                dots(sum1, tokens, w + 4, NULL, 4, q + 16, RUN_BYTES, cls);
                UNROLL
                for (int t = 0; t < tokens; t++) {
                    acc[t] = add_groups(acc[t], sum0[t], sum1[t], dw, s1, vf_mul(dw, vf_set1(-PARE_LIFT)), d, dx[t * PARE_QRUN]);
                    if (min) acc[t] = vf_fnma(m1, vf_set1(sx[2 * t * PARE_QRUN + 1]), vf_fnma(mm, vf_set1(sx[2 * t * PARE_QRUN]), acc[t]));
                }
            }
            UNROLL
            for (int g = 0; g < per && form != FORM_INT; g++) {
                VI idot[DIRECT_TOKENS];

                next_group(&h, l, part, form, min, d, dmin, &dw, &mm);
                UNROLL
                for (int t = 0; t < tokens; t++) idot[t] = vi_set32(j->corr[t][(unsigned)per * b + (unsigned)g]);
                dots(idot, tokens, w + 4 * g, NULL, 8 / per, q + 16 * g, RUN_BYTES, cls);
                UNROLL
                for (int t = 0; t < tokens; t++)
                    acc[t] = add_group(acc[t], idot[t], dw, mm, min, dx[t * PARE_QRUN], lift[t * PARE_QRUN], sx[per * t * PARE_QRUN + g]);
            }
            fresh = h.left == 1;
            end_block(&h, l);
        }
        UNROLL
        for (int t = 0; t < tokens; t++) vf_store(j->y + (unsigned)t * j->ldy + part * LANES, vf_clean(acc[t]));
    }
}

/* ---- dense: many tokens ---- */

struct weight_tile {
    uint8_t code[DENSE_BLOCKS][8][64];
    float dw[2 * DENSE_BLOCKS][PARE_PANEL], mm[2 * DENSE_BLOCKS][PARE_PANEL];
    float d[DENSE_BLOCKS][PARE_PANEL]; /* FORM_INT, whose dw is s */
};
/* Activations of a tile, one run of them; rows lie RUN_BYTES apart, scales PARE_QRUN. */
struct act_tile {
    const int8_t *q;
    const float *dx, *lift, *sx;
    int32_t corr[TILE_TOKENS][2 * DENSE_BLOCKS];
};
struct dense {
    const struct weight_tile *w;
    const struct act_tile *x;
    float *y;
    uint64_t ldy;
    uint32_t n;  /* blocks */
    bool first;  /* no partial sums in y yet */
};

/* The step of FORM_INT and FORM_FOLD for a tile of tokens. Folded codes are values times s already. */
ALWAYS void dense_int(int cls, int form, int min, int tokens, const struct dense *j, uint32_t b, int part, VF *acc)
{
    const struct act_tile *x = j->x;
    const bool folded = form == FORM_FOLD;
    const int8_t *q = x->q + b * PARE_QBLOCK;
    const uint8_t *code = &j->w->code[b][0][part * VSTEP];
    const VF d = vf_load(&j->w->d[b][part * LANES]), s0 = vf_load(&j->w->dw[2 * b][part * LANES]), s1 = vf_load(&j->w->dw[2 * b + 1][part * LANES]);
    VI sum0[TILE_TOKENS], sum1[TILE_TOKENS];

    UNROLL
    for (int t = 0; t < tokens; t++) sum0[t] = vi_set32(x->corr[t][folded ? b : 2 * b]);
    dots(sum0, tokens, NULL, code, folded ? 8 : 4, q, RUN_BYTES, cls);
    UNROLL
    for (int t = 0; t < tokens && !folded; t++) sum1[t] = vi_set32(x->corr[t][2 * b + 1]);
    if (!folded) dots(sum1, tokens, NULL, code + 4 * 64, 4, q + 16, RUN_BYTES, cls);
    UNROLL
    for (int t = 0; t < tokens; t++) {
        const float dx = x->dx[(unsigned)t * PARE_QRUN + b];

        acc[t] = folded ? add_group(acc[t], sum0[t], d, d, 0, dx, x->lift[(unsigned)t * PARE_QRUN + b], 0)
                        : add_groups(acc[t], sum0[t], sum1[t], s0, s1, vf_mul(s0, vf_set1(-PARE_LIFT)), d, dx);
    }
    for (int g = 0; g < 2 && min; g++) {
        const VF mm = vf_load(&j->w->mm[2 * b + (unsigned)g][part * LANES]);

        UNROLL
        for (int t = 0; t < tokens; t++) acc[t] = vf_fnma(mm, vf_set1(x->sx[2 * ((unsigned)t * PARE_QRUN + b) + (unsigned)g]), acc[t]);
    }
}

ALWAYS void dense(int cls, int form, int min, int tokens, const struct dense *j)
{
    const struct act_tile *x = j->x;
    const int per = groups_of(form);

    for (int part = 0; part < PARTS; part++) {
        VF acc[TILE_TOKENS];

        UNROLL
        for (int t = 0; t < tokens; t++) acc[t] = j->first ? vf_zero() : vf_load(j->y + (unsigned)t * j->ldy + part * LANES);
        for (uint32_t b = 0; b < j->n; b++) {
            if (form >= FORM_INT) {
                dense_int(cls, form, min, tokens, j, b, part, acc);
                continue;
            }
            UNROLL
            for (int h = 0; h < per; h++) {
                const uint32_t g = b * (unsigned)per + (unsigned)h;
                const VF dw = vf_load(&j->w->dw[g][part * LANES]), mm = min ? vf_load(&j->w->mm[g][part * LANES]) : vf_zero();
                VI idot[TILE_TOKENS];

                UNROLL
                for (int t = 0; t < tokens; t++) idot[t] = vi_set32(x->corr[t][g]);
                dots(idot, tokens, NULL, &j->w->code[b][4 * h][part * VSTEP], 8 / per, x->q + b * PARE_QBLOCK + 16 * h, RUN_BYTES, cls);
                UNROLL
                for (int t = 0; t < tokens; t++)
                    acc[t] = add_group(acc[t], idot[t], dw, mm, min, x->dx[(unsigned)t * PARE_QRUN + b], x->lift[(unsigned)t * PARE_QRUN + b],
                                       x->sx[(unsigned)(per * t) * PARE_QRUN + g]);
            }
        }
        UNROLL
        for (int t = 0; t < tokens; t++) vf_store(j->y + (unsigned)t * j->ldy + part * LANES, vf_clean(acc[t]));
    }
}

ALWAYS void unpack_blocks(int kind, struct weight_tile *w, const uint8_t *p, uint32_t n, const int8_t *table)
{
    const VI lut = vi_lut(table);

    for (int part = 0; part < PARTS; part++)
        for (uint32_t b = 0; b < n; b++) {
            VI v[8];

            unpack(kind, v, p + (uint64_t)b * (unsigned)code_bytes(kind) + part * VSTEP, lut);
            UNROLL
            for (int i = 0; i < 8; i++) vi_store(&w->code[b][i][part * VSTEP], v[i]);
        }
}

/* The codes of a block of FORM_INT become s * (code + offset) + fold, where the tier can do that: bytes again (struct pare_pack_traits). */
ALWAYS void fold_block(uint8_t code[8][64], const uint8_t *s, uint32_t group_bytes, int offset, int fold)
{
#ifdef PARE_FOLD
    for (int j = 0; j < 8; j++) vi_store(code[j], PARE_FOLD(vi_load(code[j]), s + (uint32_t)(j / 4) * group_bytes, offset, fold));
#else
    (void)code, (void)s, (void)group_bytes, (void)offset, (void)fold;
#endif
}

/* type: NULL unless codes are to be folded. */
static void unpack_scales(struct weight_tile *w, const struct pare_layout *l, const uint8_t *panel, uint32_t b0, uint32_t n, const struct pare_dtype *type)
{
    for (int part = 0; part < PARTS; part++) {
        struct heads h = heads_at(l, panel, b0);

        for (uint32_t b = 0; b < n; b++) {
            VF d = vf_zero(), dmin = vf_zero(), dw = vf_zero(), mm = vf_zero();

            load_head(&h, l, part, l->min, &d, &dmin);
            if (l->int_sub) {
                vf_store(&w->d[b][part * LANES], d);
                if (type != NULL) fold_block(w->code[b], h.group, l->group_bytes, type->pack.offset, type->pack.fold);
            }
            for (uint32_t g = 0; g < l->gpb; g++) {
                next_group(&h, l, part, form_of(l), l->min, d, dmin, &dw, &mm);
                vf_store(&w->dw[b * l->gpb + g][part * LANES], dw);
                if (l->min) vf_store(&w->mm[b * l->gpb + g][part * LANES], mm);
            }
            end_block(&h, l);
        }
    }
}

/* Tokens t0 .. t0 + n, blocks b0 .. b0 + n_block of one run; gpb groups a block have minima, sums of them integer sums. */
static void find_acts(struct act_tile *x, const struct pare_qact *a, uint32_t gpb, uint32_t sums, int32_t bias, uint32_t t0, uint32_t n, uint32_t b0,
                      uint32_t n_block)
{
    const uint64_t at = pare_qact_block(a, t0, b0);

    x->q = a->q + at * PARE_QBLOCK;
    x->dx = a->d + at;
    x->lift = a->lift + at;
    x->sx = gpb == 2 ? a->s16 + 2 * at : a->s32 + at;
    for (uint32_t t = 0; t < n && bias != 0; t++) corrections(x->corr[t], a, t0 + t, b0, n_block, sums, bias);
}

/* ---- tables: one function for each shape of the inner loop ---- */

typedef void (*direct_fn)(const struct direct *);
typedef void (*dense_fn)(const struct dense *);
typedef void (*unpack_fn)(struct weight_tile *, const uint8_t *, uint32_t, const int8_t *);

/* The combinations (codes, FORM_, minima) that formats use; others take the dense way even for one token. */
#define DIRECT_COMBOS(X)                                                                                               \
    X(A2, 0, 0) X(A2, 2, 1) X(A3, 1, 0) X(A3, 2, 0) X(A4, 0, 0) X(A4, 0, 1) X(A5, 0, 0) X(A5, 0, 1) X(A6, 0, 0) X(A6, 1, 0) \
    X(A8, 0, 0) X(L2, 0, 0) X(L2, 1, 0) X(L3, 0, 0) X(L3, 1, 0) X(L4, 0, 0)

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
    static void unpack_##k(struct weight_tile *w, const uint8_t *p, uint32_t n, const int8_t *lut)                     \
    {                                                                                                                  \
        unpack_blocks(PARE_CODE_##k, w, p, n, lut);                                                                    \
    }
UNPACK_ONE(A2) UNPACK_ONE(A3) UNPACK_ONE(A4) UNPACK_ONE(A5) UNPACK_ONE(A6) UNPACK_ONE(A8) UNPACK_ONE(L2) UNPACK_ONE(L3) UNPACK_ONE(L4)
static const unpack_fn unpack_table[PARE_CODE_COUNT] = {
    unpack_A2, unpack_A3, unpack_A4, unpack_A5, unpack_A6, unpack_A8, unpack_L2, unpack_L3, unpack_L4,
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
    int8_t lut[16]; /* as the tier's dot wants table values */
};

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

    for (j.b0 = 0; j.b0 < s->l.n_block; j.b0 += DIRECT_BLOCKS) {
        j.n = s->l.n_block - j.b0 < DIRECT_BLOCKS ? s->l.n_block - j.b0 : DIRECT_BLOCKS;
        for (uint32_t t = t0; t < t1; t++)
            for (uint32_t b = 0; b < j.n; b += PARE_QRUN)
                corrections(corr[t - t0] + b * s->l.gpb, s->a, t, j.b0 + b, j.n - b < PARE_QRUN ? j.n - b : PARE_QRUN, s->l.gpb, s->bias);
        for (uint32_t p = p0; p < p1; p++) {
            j.panel = s->w->data + p * s->w->panel_bytes;
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

                unpack_table[s->l.kind](&w[i], panel + s->l.codes_at + (uint64_t)b * s->l.block_bytes, j.n, s->lut);
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
    if (p->lut != NULL)
        for (int i = 0; i < 1 << p->bits; i++) s.lut[i] = code_lut(p->lut[i]);
    if (t1 <= t0) return;
    if (t1 - t0 <= DIRECT_MAX && direct_table[s.l.kind][form_of(&s.l)][s.l.min][1] != NULL)
        run_direct(&s, p0, p1, t0, t1);
    else
        run_dense(&s, p0, p1, t0, t1);
}

#endif
