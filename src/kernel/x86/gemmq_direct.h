/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/gemmq_direct.h: the way of 1..8 tokens through a panel (gemmq_tile.h): codes are unpacked in registers, each panel is read once.
 * Part of the template. */
#ifndef PARE_KERNEL_X86_GEMMQ_DIRECT_H
#define PARE_KERNEL_X86_GEMMQ_DIRECT_H

#include "kernel/x86/gemmq_step.h"

#define DIRECT_BLOCKS 256 /* corrections are computed for 8192 columns at a time */

struct direct {
    const struct pare_layout *l;
    const uint8_t *panel;
    const struct pare_qact *a;
    const int32_t (*corr)[2 * DIRECT_BLOCKS];
    const int8_t *lut;   /* TABLES * 16 bytes */
    const uint8_t *before; /* block b0 - 1, or the last one turned, for codes of a trellis */
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
    const struct tables tables = load_tables(kind, j->lut);

    for (int part = 0; part < PARTS; part++) {
        const uint8_t *p = j->panel + l->codes_at + (uint64_t)j->b0 * (unsigned)bits_bytes + part * VSTEP;
        const uint8_t *before = j->before + part * VSTEP;
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
            unpack(kind, w, p, before, &tables);
            before = p;
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

#endif
