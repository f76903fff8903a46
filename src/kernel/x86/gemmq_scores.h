/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/gemmq_scores.h: queries times a tile of keys (kernel/kv_tile.h). The recipe of gemmq_tile.h for what attention asks
 * for again and again: a matrix of four panels that is in the cache, with one scale a block and nothing else. Include after
 * gemmq_tile.h. */
#ifndef PARE_KERNEL_X86_GEMMQ_SCORES_H
#define PARE_KERNEL_X86_GEMMQ_SCORES_H

#include "kernel/kv_tile.h"

#define SCORE_BLOCKS 32 /* blocks of 32 columns at most; wider keys take the general way */

/* A few queries laid side by side, at distances that the compiler knows: addresses then need no registers. */
struct score {
    int8_t q[SCORE_BLOCKS][DIRECT_TOKENS][PARE_QBLOCK];
    float dx[SCORE_BLOCKS][DIRECT_TOKENS], lift[SCORE_BLOCKS][DIRECT_TOKENS];
    int32_t corr[SCORE_BLOCKS][DIRECT_TOKENS];
    const uint8_t *tile;
    float *y;
    uint64_t ldy;
    uint32_t n_block, p0, p1;
};

ALWAYS void score(int kind, int tokens, const struct score *j)
{
    const struct tables none = { { vi_zero() } };
    const uint32_t nb = j->n_block, codes_at = (32 * nb + 63) / 64 * 64, code = (uint32_t)code_bytes(kind);

    for (uint32_t p = j->p0; p < j->p1; p++)
        for (int part = 0; part < PARTS; part++) {
            const uint8_t *panel = j->tile + p * (codes_at + (uint64_t)nb * code);
            float *y = j->y + p * PARE_PANEL + (unsigned)part * LANES;
            VF acc[DIRECT_TOKENS];

            UNROLL
            for (int t = 0; t < tokens; t++) acc[t] = vf_zero();
            for (uint32_t b = 0; b < nb; b++) {
                const VF dw = vf_from_f16(panel + 32 * b + (unsigned)part * 2 * LANES);
                VI w[8], idot[DIRECT_TOKENS];

                unpack(kind, w, panel + codes_at + (uint64_t)b * code + (unsigned)part * VSTEP, NULL, &none);
                UNROLL
                for (int t = 0; t < tokens; t++) idot[t] = vi_set32(j->corr[b][t]);
                dots(idot, tokens, w, NULL, 8, j->q[b][0], PARE_QBLOCK, code_class(kind));
                UNROLL
                for (int t = 0; t < tokens; t++) acc[t] = add_group(acc[t], idot[t], dw, dw, 0, j->dx[b][t], j->lift[b][t], 0);
            }
            UNROLL
            for (int t = 0; t < tokens; t++) vf_store(y + (unsigned)t * j->ldy, vf_clean(acc[t]));
        }
}

static void take_queries(struct score *j, const struct pare_qact *a, uint32_t t0, uint32_t n, int32_t bias)
{
    for (uint32_t t = 0; t < n; t++)
        for (uint32_t b = 0; b < j->n_block; b++) {
            const uint64_t at = pare_qact_block(a, t0 + t, b);

            memcpy(j->q[b][t], a->q + at * PARE_QBLOCK, PARE_QBLOCK);
            j->dx[b][t] = a->d[at];
            j->lift[b][t] = a->lift[at];
            j->corr[b][t] = PARE_LIFT_BITS + bias * (a->sum16[2 * at] + a->sum16[2 * at + 1]);
        }
}

#if DIRECT_TOKENS == 8
#define SCORE_TILES(X, k) X(k, 1) X(k, 2) X(k, 4) X(k, 8)
#else
#define SCORE_TILES(X, k) X(k, 1) X(k, 2) X(k, 4)
#endif
#define SCORE_ONE(k, n) static void score_##k##_##n(const struct score *j) { score(PARE_CODE_##k, n, j); }
SCORE_TILES(SCORE_ONE, A8) SCORE_TILES(SCORE_ONE, A5) SCORE_TILES(SCORE_ONE, A4)

typedef void (*score_fn)(const struct score *);
#define SCORE_ENTRY(k, n) [n] = score_##k##_##n,
static const score_fn score_table[3][DIRECT_TOKENS + 1] = { { SCORE_TILES(SCORE_ENTRY, A8) }, { SCORE_TILES(SCORE_ENTRY, A5) },
                                                            { SCORE_TILES(SCORE_ENTRY, A4) } };

static void scores(float *y, uint64_t ldy, const uint8_t *tile, enum pare_type type, const struct pare_qact *a, uint32_t p0, uint32_t p1)
{
    const score_fn *fn = score_table[type == PARE_Q8_0 ? 0 : type == PARE_Q5_0 ? 1 : 2];
    const int kind = type == PARE_Q8_0 ? PARE_CODE_A8 : type == PARE_Q5_0 ? PARE_CODE_A5 : PARE_CODE_A4;
    const int32_t bias = code_bias(kind, pare_dtype_of(type)->pack.offset);
    struct score j; /* too large to be cleared each time */
    struct pare_packed k;

    j.tile = tile;
    j.y = y;
    j.ldy = ldy;
    j.p0 = p0;
    j.p1 = p1;
    j.n_block = a->kp / PARE_QBLOCK;
    if (j.n_block > SCORE_BLOCKS) {
        pare_ktile_matrix(&k, tile, type, a->k);
        gemm(y, ldy, &k, a, p0, p1, 0, a->n);
        return;
    }
    for (uint32_t t = 0, n; t < a->n; t += n, j.y += n * ldy) {
        for (n = DIRECT_TOKENS; n > a->n - t;) n /= 2;
        take_queries(&j, a, t, n, bias);
        fn[n](&j);
    }
}

#endif
