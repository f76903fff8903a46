/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/attn_walk.c: attention of one query row over its segments, page by page. Pages of PARE_ATTN_PAGE absolute
 * positions are the unit of the online softmax (Milakov and Gimelshein 2018), so where segments begin and end, which is an
 * accident of batching and memory, changes no bit. The inner loops belong to the tiers. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "kernel/vec_tiers.h"

#define PAGE ((uint64_t)PARE_ATTN_PAGE)

struct walk {
    const struct pare_attn     *a;
    const struct pare_vec      *v;
    const struct pare_attn_ops *ops;
    const float *q;
    float       *out, *s;      /* s: scores of a page, then probabilities */
    uint64_t     lo, hi;       /* visible positions [lo, hi) */
    float        m, l;         /* running maximum and sum */
};

/* The part of segment seg that lies in [lo, hi): row of the first position in *row, number of positions returned. */
static uint32_t cut(const struct pare_kv_seg *seg, uint64_t lo, uint64_t hi, uint64_t *first)
{
    uint64_t s0 = seg->pos0, s1 = s0 + seg->n;

    if (s0 < lo) s0 = lo;
    if (s1 > hi) s1 = hi;
    *first = s0;
    return s0 < s1 ? (uint32_t)(s1 - s0) : 0;
}

/* Scores of n positions from pos on: dot, Falcon's alibi, scale, cap, alibi, in this order. */
static void run_scores(const struct walk *w, float *s, const uint8_t *k, uint64_t stride, uint64_t pos, uint32_t n)
{
    const struct pare_attn *a = w->a;

    if (a->k_type == PARE_F32) w->v->gemm_f32(s, 0, k, stride, w->q, 0, a->dk, 0, n, 1);
    else if (a->k_type == PARE_F16) w->v->gemm_f16(s, 0, k, stride, w->q, 0, a->dk, 0, n, 1);
    else w->ops->scores_q8(s, k, stride, w->q, a->dk, n);
    if (a->alibi_bf16 && a->alibi_slope != 0.0f) {
        float slope = pare_bf16_to_f32(pare_f32_to_bf16(a->alibi_slope));

        for (uint32_t j = 0; j < n; j++) s[j] += pare_bf16_to_f32(pare_f32_to_bf16(slope * (float)(pos + j)));
    }
    w->v->scale(s, s, a->scale, n);
    if (a->softcap != 0.0f) w->v->softcap(s, a->softcap, n);
    if (!a->alibi_bf16 && a->alibi_slope != 0.0f)
        for (uint32_t j = 0; j < n; j++) s[j] += a->alibi_slope * (float)(pos + j);
}

static void run_values(const struct walk *w, const float *p, const uint8_t *v, uint64_t stride, uint32_t n)
{
    const struct pare_attn *a = w->a;

    if (a->v_type == PARE_F32) w->ops->values_f32(w->out, p, v, stride, a->dv, n);
    else if (a->v_type == PARE_F16) w->ops->values_f16(w->out, p, v, stride, a->dv, n);
    else w->ops->values_q8(w->out, p, v, stride, a->dv, n);
}

/* Raises the running maximum to at least m and rescales what was summed. While nothing finite was seen the maximum stays
 * -inf; then 0 is subtracted instead, so that exp gives 0 and not NaN. Returns what to subtract from scores. */
static float raise(struct walk *w, float m)
{
    float up = m > w->m ? m : w->m, sub = up == -INFINITY ? 0.0f : up;
    float c = pare_expf(w->m - sub);

    w->m = up;
    w->l *= c;
    w->v->scale(w->out, w->out, c, w->a->dv);
    return sub;
}

/* One page, base .. base + PAGE - 1, from segment i on. Positions that are absent or invisible have score -inf, so their
 * probability is +0: they change neither the maximum nor, since a sum of probabilities is never -0, the sum. */
static void page(struct walk *w, uint32_t i, uint64_t base)
{
    const struct pare_attn *a = w->a;
    uint64_t lo = w->lo > base ? w->lo : base, hi = w->hi < base + PAGE ? w->hi : base + PAGE, p;
    uint32_t n;
    float    sub;

    for (uint32_t j = 0; j < PAGE; j++) w->s[j] = -INFINITY;
    for (uint32_t j = i; j < a->n_seg && a->seg[j].pos0 < hi; j++)
        if ((n = cut(&a->seg[j], lo, hi, &p)) != 0)
            run_scores(w, w->s + (p - base), a->seg[j].k + (p - a->seg[j].pos0) * a->seg[j].k_stride, a->seg[j].k_stride, p, n);
    sub = raise(w, w->v->max(w->s, PAGE));
    w->l += w->ops->exp_sum(w->s, sub);
    for (uint32_t j = i; j < a->n_seg && a->seg[j].pos0 < hi; j++)
        if ((n = cut(&a->seg[j], lo, hi, &p)) != 0)
            run_values(w, w->s + (p - base), a->seg[j].v + (p - a->seg[j].pos0) * a->seg[j].v_stride, a->seg[j].v_stride, n);
}

void pare_attn_walk(float *out, float *lse, const float *q, const struct pare_attn *a, void *scratch,
                    const struct pare_vec *v, const struct pare_attn_ops *ops)
{
    struct walk w = { .a = a, .v = v, .ops = ops, .q = q, .out = out, .s = scratch, .hi = UINT64_MAX, .m = -INFINITY };
    uint64_t    p, end = (uint64_t)a->pos + 1;

    if (a->causal) w.hi = end;
    if (a->window != 0 && end > a->window) w.lo = end - a->window;
    memset(out, 0, a->dv * sizeof *out);
    for (uint32_t i = 0; i < a->n_seg;) {
        if (cut(&a->seg[i], w.lo, w.hi, &p) == 0) {
            i++;
            continue;
        }
        page(&w, i, p & ~(PAGE - 1));
        w.lo = (p & ~(PAGE - 1)) + PAGE;
    }
    if (a->sink != NULL) {
        float sub = raise(&w, *a->sink);

        w.l += pare_expf(*a->sink - sub);
    }
    if (lse != NULL) *lse = w.m + pare_logf(w.l);
    /* No key at all: no value. The division then never sees 0 / 0. */
    if (w.l != 0.0f)
        for (uint32_t j = 0; j < a->dv; j++) out[j] /= w.l;
}

uint64_t pare_attn_scratch(uint32_t dk, uint32_t dv)
{
    /* Rows are converted in registers, whatever their width: only a page of scores is kept. */
    (void)dk;
    (void)dv;
    return pare_arena_round(PARE_ATTN_PAGE * sizeof(float));
}
