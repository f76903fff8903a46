/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/gemmq_step.h: what the two ways through a matrix (gemmq_tile.h) share: scales out of a panel's headers, the integer sums of a
 * group, and the float step that follows. Part of the template. */
#ifndef PARE_KERNEL_X86_GEMMQ_STEP_H
#define PARE_KERNEL_X86_GEMMQ_STEP_H

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

#endif
