/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/gemmq_dense.h: the way of many tokens (gemmq_tile.h): panels unpacked on the stack, tiles of tokens pass over them. Part of the
 * template. */
#ifndef PARE_KERNEL_X86_GEMMQ_DENSE_H
#define PARE_KERNEL_X86_GEMMQ_DENSE_H

#include "kernel/x86/gemmq_step.h"

#define DENSE_BLOCKS PARE_QRUN /* 1024 columns: an unpacked panel (20 to 32 KB) and a tile of activations (12 KB) share the first cache */

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

/* before: the block before the first one. */
ALWAYS void unpack_blocks(int kind, struct weight_tile *w, const uint8_t *p, const uint8_t *before, uint32_t n, const int8_t *table)
{
    const struct tables tables = load_tables(kind, table);

    for (int part = 0; part < PARTS; part++)
        for (uint32_t b = 0; b < n; b++) {
            VI v[8];

            const uint8_t *at = p + (uint64_t)b * (unsigned)code_bytes(kind) + part * VSTEP;

            unpack(kind, v, at, b != 0 ? at - code_bytes(kind) : before + part * VSTEP, &tables);
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

#endif
