/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/attn_walk.c: attention of query rows over their segments, page by page and chunk by chunk. Pages and chunks are cut at
 * multiples of their sizes in absolute positions, so where segments begin and end, which is an accident of batching and memory, and
 * who works on which chunk, change no bit. The inner loops belong to the tiers. */
#include "kernel/attn_walk.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/kv_tile.h"

#define PAGE ((uint64_t)PARE_ATTN_PAGE)

static uint64_t wider(uint32_t dk, uint32_t dv) { return ((dk > dv ? dk : dv) + 31ull) / 32 * 32; }

uint32_t pare_attn_cut(const struct pare_kv_seg *seg, uint64_t lo, uint64_t hi, uint64_t *first)
{
    uint64_t s0 = seg->pos0, s1 = s0 + seg->n;

    if (s0 < lo) s0 = lo;
    if (s1 > hi) s1 = hi;
    *first = s0;
    return s0 < s1 ? (uint32_t)(s1 - s0) : 0;
}

/* Does the row see a key of segments i, i + 1, ... before position end? */
static bool sees(const struct pare_attn_walk *w, const struct pare_attn_query *q, uint32_t i, uint64_t base, uint64_t end)
{
    uint64_t p, lo = q->lo > base ? q->lo : base, hi = q->hi < end ? q->hi : end;

    for (; i < w->a->n_seg && w->a->seg[i].pos0 < hi; i++)
        if (pare_attn_cut(&w->a->seg[i], lo, hi, &p) != 0) return true;
    return false;
}

/* What comes next, towards the second cache: what follows a segment is somewhere else, where hardware does not look. The i-th of n parts,
 * because a core waits for no more than a dozen lines at once and should compute in between. */
/* (A function that only prefetches counts as one without effect, and a call of it is dropped: it must be inlined.) */
static inline __attribute__((always_inline)) void ahead(const uint8_t *p, uint64_t bytes, uint32_t i, uint32_t n)
{
    uint64_t lines = (bytes + 63) / 64, end = lines * (i + 1) / n;

    for (uint64_t k = lines * i / n; k < end; k++) __builtin_prefetch(p + 64 * k, 0, 2);
}

/* One page, base .. base + PAGE - 1, from segment i on. Positions that are absent or invisible have score -inf, so their
 * probability is +0: they change neither the maximum nor, since a sum of probabilities is never -0, the sum. */
static void page(const struct pare_attn_walk *w, uint32_t i, uint64_t base)
{
    const struct pare_attn *a = w->a;
    uint64_t lo = w->lo > base ? w->lo : base, hi = w->hi < base + PAGE ? w->hi : base + PAGE, p;
    const struct pare_kv_seg *next = i + 1 < a->n_seg ? &a->seg[i + 1] : NULL;
    uint64_t k_bytes = 0, v_bytes = 0; /* that the next segment lies in */
    float    m[PARE_ATTN_ROWS], sub[PARE_ATTN_ROWS];
    uint32_t n, seen = 0;

    if (next != NULL) {
        k_bytes = w->k_tile;
        v_bytes = w->v_tile != 0 ? w->v_tile : next->n * next->v_stride;
    }
    if (lo != base || hi != base + PAGE || pare_attn_cut(&a->seg[i], lo, hi, &p) != PAGE)
        for (uint64_t j = 0; j < w->n * PAGE; j++) w->s[j] = -INFINITY;
    for (uint32_t j = i; j < a->n_seg && a->seg[j].pos0 < hi; j++)
        if ((n = pare_attn_cut(&a->seg[j], lo, hi, &p)) != 0) pare_attn_scores(w, &a->seg[j], base, p, n);
    for (uint32_t r = 0; r < w->n; r++) {
        struct pare_attn_query *q = &w->q[r];
        float                  *s = w->s + r * PAGE;

        if (next != NULL) {
            ahead(next->k, k_bytes, r, w->n);
            ahead(next->v, v_bytes, r, w->n);
        }
        if (w->n > 1) {
            if (!sees(w, q, i, base, hi)) continue;
            for (uint64_t j = base; j < q->lo && j < base + PAGE; j++) s[j - base] = -INFINITY;
            for (uint64_t j = q->hi > base ? q->hi : base; j < base + PAGE; j++) s[j - base] = -INFINITY;
        }
        seen |= 1u << r;
        m[r] = w->scale_last ? w->ops->scale_max(s, a->scale) : w->v->max(s, PAGE);
    }
    pare_attn_raise(w, seen, m, sub);
    for (uint32_t r = 0; r < w->n; r++)
        if (seen >> r & 1u) w->q[r].l += w->ops->exp_sum(w->s + r * PAGE, sub[r]);
    for (uint32_t j = i; j < a->n_seg && a->seg[j].pos0 < hi; j++)
        if ((n = pare_attn_cut(&a->seg[j], lo, hi, &p)) != 0) pare_attn_values(w, &a->seg[j], base, p, n);
}

/* Takes bytes at *at; without a base only counts. */
static void *take(uint8_t *base, uint64_t *at, uint64_t bytes)
{
    void *here = base == NULL ? NULL : base + *at;

    *at += pare_arena_round(bytes);
    return here;
}

/* Lays the arrays out in scratch, which may be NULL; returns the bytes of all. */
static uint64_t lay_out(struct pare_attn_walk *w, uint8_t *scratch, uint32_t dk, uint32_t dv, void **qx)
{
    uint64_t at = 0;

    w->wide = wider(dk, dv);
    w->q = take(scratch, &at, PARE_ATTN_ROWS * sizeof *w->q);
    w->out = take(scratch, &at, PARE_ATTN_ROWS * sizeof *w->out);
    w->spare = take(scratch, &at, PARE_ATTN_ROWS * w->wide * sizeof(float));
    w->s = take(scratch, &at, PARE_ATTN_ROWS * PAGE * sizeof(float));
    w->some = take(scratch, &at, PARE_ATTN_ROWS * PAGE * sizeof(float));
    w->x = take(scratch, &at, PARE_ATTN_ROWS * w->wide * sizeof(float));
    w->page = take(scratch, &at, PAGE * w->wide * sizeof(float));
    *qx = take(scratch, &at, pare_qact_bytes(PARE_ATTN_ROWS, w->wide));
    return at;
}

uint64_t pare_attn_scratch(uint32_t dk, uint32_t dv)
{
    struct pare_attn_walk w;
    void                 *qx;

    return lay_out(&w, NULL, dk, dv, &qx);
}

static void begin(struct pare_attn_walk *w, const struct pare_attn_row *row, void *scratch)
{
    const struct pare_attn *a = w->a;
    void                   *qx;

    (void)lay_out(w, scratch, a->dk, a->dv, &qx);
    w->lo = UINT64_MAX;
    w->k_tile = pare_ktile_bytes(a->k_type, a->dk);
    if (pare_kv_tile_type(a->v_type)) w->v_tile = pare_vtile_bytes(a->v_type, a->dv);
    w->scale_last = a->softcap == 0.0f && a->scale > 0.0f;
    for (uint32_t r = 0; r < w->n; r++) {
        struct pare_attn_query *q = &w->q[r];
        uint64_t                end = (uint64_t)row[r].pos + 1;

        *q = (struct pare_attn_query){ .r = &row[r], .hi = a->causal ? end : UINT64_MAX, .all_m = -INFINITY };
        if (a->window != 0 && end > a->window) q->lo = end - a->window;
        if (row[r].alibi_slope != 0.0f) w->scale_last = false;
        if (q->lo < w->lo) w->lo = q->lo;
        if (q->hi > w->hi) w->hi = q->hi;
        if (w->n > 1) memcpy(w->x + (uint64_t)r * a->dk, row[r].q, a->dk * sizeof(float));
    }
    if (!pare_kv_tile_type(a->k_type)) return;
    pare_qact_init(&w->qx, qx, w->n, a->dk);
    a->mm->quantize(&w->qx, w->n > 1 ? w->x : row->q, a->dk, 0, w->n);
}

void pare_attn_walk(const struct pare_attn_row *row, uint32_t n, const struct pare_attn *a, void *scratch, const struct pare_vec *v,
                    const struct pare_attn_ops *ops)
{
    struct pare_attn_walk w = { .a = a, .v = v, .ops = ops, .n = n };
    uint64_t              p, chunk = UINT64_MAX;

    begin(&w, row, scratch);
    for (uint32_t i = 0; i < a->n_seg;) {
        if (pare_attn_cut(&a->seg[i], w.lo, w.hi, &p) == 0) {
            i++;
            continue;
        }
        if (p / PARE_ATTN_CHUNK != chunk) {
            if (chunk != UINT64_MAX) pare_attn_close_chunk(&w);
            chunk = p / PARE_ATTN_CHUNK;
            pare_attn_open_chunk(&w);
        }
        page(&w, i, p & ~(PAGE - 1));
        w.lo = (p & ~(PAGE - 1)) + PAGE;
    }
    if (chunk != UINT64_MAX) pare_attn_close_chunk(&w);
    for (uint32_t r = 0; r < n; r++) pare_attn_finish(&w, r);
}
