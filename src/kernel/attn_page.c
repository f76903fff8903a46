/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/attn_page.c: one page of attention: scores of its keys, sums of its values. Rows that share keys go through it together:
 * what is decoded is decoded once. What a row sees and in which order it adds is its own, so company changes no bit. */
#include <string.h>

#include "kernel/attn_walk.h"
#include "kernel/kv_tile.h"

#define PAGE ((uint64_t)PARE_ATTN_PAGE)

/* From how many rows on a tile of f16 keys is decoded first: fewer decode it as they go, once for every few rows. */
#define DECODE_FIRST 7

static void float_dots(const struct pare_attn_walk *w, float *s, const uint8_t *tile, uint32_t p0, uint32_t p1)
{
    const struct pare_attn *a = w->a;
    const float            *x = w->n > 1 ? w->x : w->q->r->q;
    const uint64_t          panel = (uint64_t)a->dk * PARE_PANEL;
    bool                    f16 = a->k_type == PARE_F16;

    if (f16 && w->n >= DECODE_FIRST) {
        w->ops->decode_f16(w->page + p0 * panel, 0, tile + 2 * p0 * panel, 0, (uint32_t)((p1 - p0) * panel), 1);
        tile = (const uint8_t *)w->page;
        f16 = false;
    }
    w->ops->scores(s, tile, f16, x, a->dk, a->dk, w->n, p0, p1);
}

/* Whole panels are multiplied; where only some of their positions are wanted, the others' scores must not be touched. */
static void dots(const struct pare_attn_walk *w, const uint8_t *tile, uint32_t at, uint32_t n)
{
    const uint32_t p0 = at / PARE_PANEL, p1 = (at + n + PARE_PANEL - 1) / PARE_PANEL;
    const bool     whole = at % PARE_PANEL == 0 && (at + n) % PARE_PANEL == 0;
    float         *s = whole ? w->s : w->some;

    if (pare_kv_tile_type(w->a->k_type)) w->a->mm->scores(s, PAGE, tile, w->a->k_type, &w->qx, p0, p1);
    else float_dots(w, s, tile, p0, p1);
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
    dots(w, seg->k, (uint32_t)(p - base), n);
    for (uint32_t r = 0; r < w->n && !w->scale_last; r++) finish_scores(w, w->s + r * PAGE + (p - base), w->q[r].r->alibi_slope, p, n);
}

/* Rows of values from position first on. */
struct source {
    const uint8_t *v;
    uint64_t       stride, first;
    bool           f16;
};

/* Positions [p, p + n) of a segment as floats where several rows want them, or where they are not floats. */
static struct source source_of(const struct pare_attn_walk *w, const struct pare_kv_seg *seg, uint64_t base, uint64_t p, uint32_t n)
{
    const enum pare_type type = w->a->v_type;
    const uint8_t       *row = seg->v + (p - seg->pos0) * seg->v_stride;

    if (pare_kv_tile_type(type)) w->ops->decode_tile(w->page, w->wide, seg->v, type, w->a->dv, (uint32_t)(p - base), (uint32_t)(p - base) + n);
    else if (type == PARE_F16 && w->n > 1) w->ops->decode_f16(w->page, w->wide, row, seg->v_stride, w->a->dv, n);
    else return (struct source){ row, seg->v_stride, p, type == PARE_F16 };
    return (struct source){ (const uint8_t *)w->page, w->wide * sizeof(float), p, false };
}

/* Positions [from, to) for rows [r0, r0 + n); w->s begins at position base. */
static void add(const struct pare_attn_walk *w, const struct source *s, uint64_t base, uint32_t r0, uint32_t n, uint64_t from, uint64_t to)
{
    const float   *p = w->s + r0 * PAGE + (from - base);
    const uint32_t dv = w->a->dv, len = (uint32_t)(to - from);
    const uint8_t *row = s->v + (from - s->first) * s->stride;

    if (n > 1) w->ops->values_rows(w->out + r0, n, p, row, s->stride, dv, len);
    else (s->f16 ? w->ops->values_f16 : w->ops->values_f32)(w->out[r0], p, row, s->stride, dv, len);
}

/* What all rows see is added for all together; before and after it, each row adds what it sees itself. */
void pare_attn_values(const struct pare_attn_walk *w, const struct pare_kv_seg *seg, uint64_t base, uint64_t p, uint32_t n)
{
    uint64_t      end = p + n, lo = p, hi = end;
    struct source s = source_of(w, seg, base, p, n);

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
            if (from < to) add(w, &s, base, r, 1, from, to);
        }
        if (!after && lo < hi) add(w, &s, base, 0, w->n, lo, hi);
    }
}
