/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/attn_page.c: one page of attention: scores of its keys, sums of its values. Rows that share keys go through it together:
 * what is decoded is decoded once. What a row sees and in which order it adds is its own, so company changes no bit. */
#include <string.h>

#include "kernel/attn_walk.h"
#include "kernel/kv_tile.h"

#define PAGE ((uint64_t)PARE_ATTN_PAGE)

/* n rows of f32 or f16 in f32: where they lie if they are, else decoded. */
static const uint8_t *decoded(const struct pare_attn_walk *w, enum pare_type type, const uint8_t *row, uint64_t *stride, uint32_t d, uint32_t n)
{
    if (type == PARE_F32) return row;
    w->ops->decode_f16(w->page, w->wide, row, *stride, d, n);
    *stride = w->wide * sizeof(float);
    return (const uint8_t *)w->page;
}

static void float_dots(const struct pare_attn_walk *w, float *s, const uint8_t *k, uint64_t stride, uint32_t n)
{
    const struct pare_attn *a = w->a;

    if (w->n > 1) {
        k = decoded(w, a->k_type, k, &stride, a->dk, n);
        w->v->gemm_f32(s, PAGE, k, stride, w->x, a->dk, a->dk, 0, n, w->n);
        return;
    }
    (a->k_type == PARE_F32 ? w->v->gemm_f32 : w->v->gemm_f16)(s, PAGE, k, stride, w->q->r->q, 0, a->dk, 0, n, 1);
}

/* Whole panels are multiplied; where only some of their positions are wanted, the others' scores must not be touched. */
static void quant_dots(const struct pare_attn_walk *w, const uint8_t *tile, uint32_t at, uint32_t n)
{
    const uint32_t p0 = at / PARE_PANEL, p1 = (at + n + PARE_PANEL - 1) / PARE_PANEL;
    const bool     whole = at % PARE_PANEL == 0 && (at + n) % PARE_PANEL == 0;

    w->a->mm->scores(whole ? w->s : w->some, PAGE, tile, w->a->k_type, &w->qx, p0, p1);
    for (uint32_t r = 0; r < w->n && !whole; r++) memcpy(w->s + r * PAGE + at, w->some + r * PAGE + at, n * sizeof(float));
}

/* From dots to scores of n positions from pos on: Falcon's alibi, scale, cap, alibi, in this order. */
static void finish_scores(const struct pare_attn_walk *w, float *s, float slope, uint64_t pos, uint32_t n)
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

void pare_attn_scores(const struct pare_attn_walk *w, const struct pare_kv_seg *seg, uint64_t base, uint64_t p, uint32_t n)
{
    if (pare_kv_tile_type(w->a->k_type)) quant_dots(w, seg->k, (uint32_t)(p - base), n);
    else float_dots(w, w->s + (p - base), seg->k + (p - seg->pos0) * seg->k_stride, seg->k_stride, n);
    for (uint32_t r = 0; r < w->n && !w->scale_last; r++) finish_scores(w, w->s + r * PAGE + (p - base), w->q[r].r->alibi_slope, p, n);
}

/* Where values are read: rows of floats from position first on, or the tile of the page at base. */
struct source {
    const uint8_t *v;
    uint64_t       stride, first, base;
    enum pare_type type;
};

/* Positions [from, to) for rows [r0, r0 + n). */
static void add(const struct pare_attn_walk *w, const struct source *s, uint32_t r0, uint32_t n, uint64_t from, uint64_t to)
{
    const float   *p = w->s + r0 * PAGE + (from - s->base);
    const uint32_t dv = w->a->dv, len = (uint32_t)(to - from);
    const uint8_t *row = s->v + (from - s->first) * s->stride;

    if (pare_kv_tile_type(s->type)) w->ops->values_tile(w->out + r0, n, w->s + r0 * PAGE, s->v, s->type, dv, (uint32_t)(from - s->base), (uint32_t)(to - s->base));
    else if (n > 1) w->ops->values_rows(w->out + r0, n, p, row, s->stride, dv, len);
    else if (s->type == PARE_F32) w->ops->values_f32(w->out[r0], p, row, s->stride, dv, len);
    else w->ops->values_f16(w->out[r0], p, row, s->stride, dv, len);
}

/* What all rows see is added for all together; before and after it, each row adds what it sees itself. */
void pare_attn_values(const struct pare_attn_walk *w, const struct pare_kv_seg *seg, uint64_t base, uint64_t p, uint32_t n)
{
    uint64_t      end = p + n, lo = p, hi = end;
    struct source s = { .v = seg->v, .stride = seg->v_stride, .first = seg->pos0, .base = base, .type = w->a->v_type };

    if (w->n > 1 && !pare_kv_tile_type(s.type)) {
        s.v = decoded(w, s.type, s.v + (p - s.first) * s.stride, &s.stride, w->a->dv, n);
        s.first = p;
        s.type = PARE_F32;
    }
    for (uint32_t r = 0; r < w->n; r++) {
        if (w->q[r].lo > lo) lo = w->q[r].lo;
        if (w->q[r].hi < hi) hi = w->q[r].hi;
    }
    if (w->n == 1 || lo >= hi) lo = hi = end; /* nothing in common: all of it stands before */
    for (int after = 0; after < 2; after++) {
        for (uint32_t r = 0; r < w->n; r++) {
            uint64_t from = after ? hi : p, to = after ? end : lo;

            if (w->q[r].lo > from) from = w->q[r].lo;
            if (w->q[r].hi < to) to = w->q[r].hi;
            if (from < to) add(w, &s, r, 1, from, to);
        }
        if (!after && lo < hi) add(w, &s, 0, w->n, lo, hi);
    }
}
