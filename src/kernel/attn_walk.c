/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/attn_walk.c: attention of query rows over their segments, page by page. Pages of PARE_ATTN_PAGE absolute
 * positions are the unit of the online softmax (Milakov and Gimelshein 2018), so where segments begin and end, which is an
 * accident of batching and memory, changes no bit. Rows that share keys go through a page together: it is read and decoded once.
 * What a row sees and in which order it adds is its own, so company changes no bit either. The inner loops belong to the tiers. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "kernel/vec_tiers.h"

#define PAGE ((uint64_t)PARE_ATTN_PAGE)

/* The running state of one row. */
struct query {
    const struct pare_attn_row *r;
    uint64_t lo, hi;  /* visible positions [lo, hi) */
    float    m, l;    /* running maximum and sum */
};

struct walk {
    const struct pare_attn     *a;
    const struct pare_vec      *v;
    const struct pare_attn_ops *ops;
    uint32_t n;
    uint64_t lo, hi;       /* positions that some row sees */
    struct query *q;       /* [n] */
    float **out;           /* [n] */
    float *x;              /* [n][dk] queries side by side */
    float *s;              /* [n][PAGE] scores of a page, then probabilities */
    float *page;           /* [PAGE][wide] keys or values of a page, decoded */
    uint64_t wide;
};

static uint64_t wider(uint32_t dk, uint32_t dv) { return ((dk > dv ? dk : dv) + 31ull) / 32 * 32; } /* whole blocks of q8_0 */

/* The part of segment seg that lies in [lo, hi): its first position in *first, number of positions returned. */
static uint32_t cut(const struct pare_kv_seg *seg, uint64_t lo, uint64_t hi, uint64_t *first)
{
    uint64_t s0 = seg->pos0, s1 = s0 + seg->n;

    if (s0 < lo) s0 = lo;
    if (s1 > hi) s1 = hi;
    *first = s0;
    return s0 < s1 ? (uint32_t)(s1 - s0) : 0;
}

/* n rows in f32: where they lie if they are, else decoded. */
static const uint8_t *decoded(const struct walk *w, enum pare_type type, const uint8_t *row, uint64_t *stride, uint32_t d, uint32_t n)
{
    if (type == PARE_F32) return row;
    if (type == PARE_F16) w->ops->decode_f16(w->page, w->wide, row, *stride, d, n);
    else w->ops->decode_q8(w->page, w->wide, row, *stride, d, n);
    *stride = w->wide * sizeof(float);
    return (const uint8_t *)w->page;
}

static void dots(const struct walk *w, float *s, const uint8_t *k, uint64_t stride, uint32_t n)
{
    const struct pare_attn *a = w->a;

    if (w->n > 1) {
        k = decoded(w, a->k_type, k, &stride, a->dk, n);
        w->v->gemm_f32(s, PAGE, k, stride, w->x, a->dk, a->dk, 0, n, w->n);
    } else if (a->k_type == PARE_F32) {
        w->v->gemm_f32(s, PAGE, k, stride, w->q->r->q, 0, a->dk, 0, n, 1);
    } else if (a->k_type == PARE_F16) {
        w->v->gemm_f16(s, PAGE, k, stride, w->q->r->q, 0, a->dk, 0, n, 1);
    } else {
        w->ops->scores_q8(s, k, stride, w->q->r->q, a->dk, n);
    }
}

/* From dots to scores of n positions from pos on: Falcon's alibi, scale, cap, alibi, in this order. */
static void finish_scores(const struct walk *w, float *s, float slope, uint64_t pos, uint32_t n)
{
    const struct pare_attn *a = w->a;

    if (a->alibi_bf16 && slope != 0.0f) {
        float coarse = pare_bf16_to_f32(pare_f32_to_bf16(slope));

        for (uint32_t j = 0; j < n; j++) s[j] += pare_bf16_to_f32(pare_f32_to_bf16(coarse * (float)(pos + j)));
    }
    w->v->scale(s, s, a->scale, n);
    if (a->softcap != 0.0f) w->v->softcap(s, a->softcap, n);
    if (!a->alibi_bf16 && slope != 0.0f)
        for (uint32_t j = 0; j < n; j++) s[j] += slope * (float)(pos + j);
}

static void values(const struct walk *w, uint32_t r, const float *p, const uint8_t *v, uint64_t stride, uint32_t n)
{
    const struct pare_attn *a = w->a;

    if (a->v_type == PARE_F32 || w->n > 1) w->ops->values_f32(w->out[r], p, v, stride, a->dv, n);
    else if (a->v_type == PARE_F16) w->ops->values_f16(w->out[r], p, v, stride, a->dv, n);
    else w->ops->values_q8(w->out[r], p, v, stride, a->dv, n);
}

/* Values of n positions from pos on, which lie in one page and one segment. What all rows see is added for all together; before and
 * after it, each row adds what it sees itself. */
static void add_values(const struct walk *w, uint64_t base, uint64_t pos, uint32_t n, const uint8_t *v, uint64_t stride)
{
    uint64_t end = pos + n, lo = pos, hi = end;

    if (w->n > 1) v = decoded(w, w->a->v_type, v, &stride, w->a->dv, n);
    for (uint32_t r = 0; r < w->n; r++) {
        if (w->q[r].lo > lo) lo = w->q[r].lo;
        if (w->q[r].hi < hi) hi = w->q[r].hi;
    }
    if (w->n == 1 || lo >= hi) lo = hi = end; /* nothing in common: all of it stands before */
    for (int after = 0; after < 2; after++) {
        for (uint32_t r = 0; r < w->n; r++) {
            uint64_t from = after ? hi : pos, to = after ? end : lo;

            if (w->q[r].lo > from) from = w->q[r].lo;
            if (w->q[r].hi < to) to = w->q[r].hi;
            if (from < to) values(w, r, w->s + r * PAGE + (from - base), v + (from - pos) * stride, stride, (uint32_t)(to - from));
        }
        if (!after && lo < hi) w->ops->values_rows(w->out, w->n, w->s + (lo - base), v + (lo - pos) * stride, stride, w->a->dv, (uint32_t)(hi - lo));
    }
}

/* Raises the running maximum to at least m and rescales what was summed. While nothing finite was seen the maximum stays
 * -inf; then 0 is subtracted instead, so that exp gives 0 and not NaN. Returns what to subtract from scores. */
static float raise(const struct walk *w, uint32_t r, float m)
{
    struct query *q = &w->q[r];
    float         up = m > q->m ? m : q->m, sub = up == -INFINITY ? 0.0f : up;
    float         c;

    if (m <= q->m && fabsf(q->m) < INFINITY) return q->m; /* exp(0) is 1: multiplying by it changes no bit */
    c = pare_expf(q->m - sub);
    q->m = up;
    q->l *= c;
    w->v->scale(w->out[r], w->out[r], c, w->a->dv);
    return sub;
}

/* Does the row see a key of segments i, i + 1, ... before position end? */
static bool sees(const struct walk *w, const struct query *q, uint32_t i, uint64_t base, uint64_t end)
{
    uint64_t p, lo = q->lo > base ? q->lo : base, hi = q->hi < end ? q->hi : end;

    for (; i < w->a->n_seg && w->a->seg[i].pos0 < hi; i++)
        if (cut(&w->a->seg[i], lo, hi, &p) != 0) return true;
    return false;
}

/* Rows that come next, towards the second cache: what follows a segment is somewhere else, where hardware does not look. */
static void ahead(const uint8_t *row, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i += 64) __builtin_prefetch(row + i, 0, 2);
}

/* One page, base .. base + PAGE - 1, from segment i on. Positions that are absent or invisible have score -inf, so their
 * probability is +0: they change neither the maximum nor, since a sum of probabilities is never -0, the sum. */
static void page(const struct walk *w, uint32_t i, uint64_t base)
{
    const struct pare_attn *a = w->a;
    uint64_t lo = w->lo > base ? w->lo : base, hi = w->hi < base + PAGE ? w->hi : base + PAGE, p;
    uint32_t n;

    if (i + 1 < a->n_seg) {
        ahead(a->seg[i + 1].k, a->seg[i + 1].n * a->seg[i + 1].k_stride);
        ahead(a->seg[i + 1].v, a->seg[i + 1].n * a->seg[i + 1].v_stride);
    }
    if (lo != base || hi != base + PAGE || cut(&a->seg[i], lo, hi, &p) != PAGE)
        for (uint64_t j = 0; j < w->n * PAGE; j++) w->s[j] = -INFINITY;
    for (uint32_t j = i; j < a->n_seg && a->seg[j].pos0 < hi; j++) {
        if ((n = cut(&a->seg[j], lo, hi, &p)) == 0) continue;
        dots(w, w->s + (p - base), a->seg[j].k + (p - a->seg[j].pos0) * a->seg[j].k_stride, a->seg[j].k_stride, n);
        for (uint32_t r = 0; r < w->n; r++) finish_scores(w, w->s + r * PAGE + (p - base), w->q[r].r->alibi_slope, p, n);
    }
    for (uint32_t r = 0; r < w->n; r++) {
        struct query *q = &w->q[r];
        float        *s = w->s + r * PAGE, sub;

        if (w->n > 1) {
            if (!sees(w, q, i, base, hi)) continue;
            for (uint64_t j = base; j < q->lo && j < base + PAGE; j++) s[j - base] = -INFINITY;
            for (uint64_t j = q->hi > base ? q->hi : base; j < base + PAGE; j++) s[j - base] = -INFINITY;
        }
        sub = raise(w, r, w->v->max(s, PAGE));
        q->l += w->ops->exp_sum(s, sub);
    }
    for (uint32_t j = i; j < a->n_seg && a->seg[j].pos0 < hi; j++)
        if ((n = cut(&a->seg[j], lo, hi, &p)) != 0)
            add_values(w, base, p, n, a->seg[j].v + (p - a->seg[j].pos0) * a->seg[j].v_stride, a->seg[j].v_stride);
}

static void *take(uint8_t **at, uint64_t bytes)
{
    void *here = *at;

    *at += pare_arena_round(bytes);
    return here;
}

static void begin(struct walk *w, const struct pare_attn_row *row, void *scratch)
{
    const struct pare_attn *a = w->a;
    uint8_t                *at = scratch;

    w->wide = wider(a->dk, a->dv);
    w->q = take(&at, PARE_ATTN_ROWS * sizeof *w->q);
    w->out = take(&at, PARE_ATTN_ROWS * sizeof *w->out);
    w->s = take(&at, PARE_ATTN_ROWS * PAGE * sizeof(float));
    w->x = take(&at, PARE_ATTN_ROWS * w->wide * sizeof(float));
    w->page = take(&at, PAGE * w->wide * sizeof(float));
    w->lo = UINT64_MAX;
    for (uint32_t r = 0; r < w->n; r++) {
        struct query *q = &w->q[r];
        uint64_t      end = (uint64_t)row[r].pos + 1;

        *q = (struct query){ .r = &row[r], .hi = a->causal ? end : UINT64_MAX, .m = -INFINITY };
        if (a->window != 0 && end > a->window) q->lo = end - a->window;
        if (q->lo < w->lo) w->lo = q->lo;
        if (q->hi > w->hi) w->hi = q->hi;
        w->out[r] = row[r].out;
        memset(row[r].out, 0, a->dv * sizeof(float));
        if (w->n > 1) memcpy(w->x + (uint64_t)r * a->dk, row[r].q, a->dk * sizeof(float));
    }
}

void pare_attn_walk(const struct pare_attn_row *row, uint32_t n, const struct pare_attn *a, void *scratch, const struct pare_vec *v,
                    const struct pare_attn_ops *ops)
{
    struct walk w = { .a = a, .v = v, .ops = ops, .n = n };
    uint64_t    p;

    begin(&w, row, scratch);
    for (uint32_t i = 0; i < a->n_seg;) {
        if (cut(&a->seg[i], w.lo, w.hi, &p) == 0) {
            i++;
            continue;
        }
        page(&w, i, p & ~(PAGE - 1));
        w.lo = (p & ~(PAGE - 1)) + PAGE;
    }
    for (uint32_t r = 0; r < n; r++) {
        struct query *q = &w.q[r];

        if (row[r].sink != NULL) {
            float sub = raise(&w, r, *row[r].sink);

            q->l += pare_expf(*row[r].sink - sub);
        }
        if (row[r].lse != NULL) *row[r].lse = q->m + pare_logf(q->l);
        /* No key at all: no value. The division then never sees 0 / 0. */
        if (q->l != 0.0f)
            for (uint32_t j = 0; j < a->dv; j++) row[r].out[j] /= q->l;
    }
}

uint64_t pare_attn_scratch(uint32_t dk, uint32_t dv)
{
    uint64_t wide = wider(dk, dv);

    return pare_arena_round(PARE_ATTN_ROWS * sizeof(struct query)) + pare_arena_round(PARE_ATTN_ROWS * sizeof(float *)) +
           pare_arena_round(PARE_ATTN_ROWS * PAGE * sizeof(float)) + pare_arena_round(PARE_ATTN_ROWS * wide * sizeof(float)) +
           pare_arena_round(PAGE * wide * sizeof(float));
}
