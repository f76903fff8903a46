/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/attn_state.c: running states of the online softmax (Milakov and Gimelshein 2018) and how those of two stretches of positions
 * become one: both sums are brought to the larger maximum and added. A state is (m, l, o): the maximum, the sum of exp(score - m), the
 * values times the same. l is 0 only when nothing finite was seen; such a state adds nothing. */
#include <math.h>
#include <string.h>

#include "kernel/attn_walk.h"

/* While nothing finite was seen the maximum stays -inf; then 0 is subtracted instead, so that exp gives 0 and not NaN. */
static float subtrahend(float m) { return m == -INFINITY ? 0.0f : m; }

void pare_attn_raise(const struct pare_attn_walk *w, uint32_t seen, const float *m, float *sub)
{
    float    c[PARE_ATTN_ROWS];
    uint32_t raised = 0;

    for (uint32_t r = 0; r < w->n; r++) {
        const struct pare_attn_query *q = &w->q[r];

        sub[r] = q->m;
        c[r] = 0;
        if (!(seen >> r & 1u) || (m[r] <= q->m && fabsf(q->m) < INFINITY)) continue; /* exp(0) is 1: multiplying by it changes no bit */
        sub[r] = subtrahend(m[r] > q->m ? m[r] : q->m);
        c[r] = q->m - sub[r];
        raised |= 1u << r;
    }
    if (raised == 0) return;
    w->v->exp(c, c, w->n);
    for (uint32_t r = 0; r < w->n; r++) {
        struct pare_attn_query *q = &w->q[r];

        if (!(raised >> r & 1u)) continue;
        if (m[r] > q->m) q->m = m[r];
        q->l *= c[r];
        w->v->scale(w->out[r], w->out[r], c[r], w->a->dv);
    }
}

/* (m, l, o) becomes the join of itself and a later state. */
static void join(const struct pare_vec *v, float *m, float *l, float *o, float m2, float l2, const float *o2, uint32_t dv)
{
    float up = m2 > *m ? m2 : *m, sub = subtrahend(up), c = pare_expf(*m - sub), c2 = pare_expf(m2 - sub);

    *m = up;
    *l = *l * c + l2 * c2;
    v->scale(o, o, c, dv);
    v->axpy(o, c2, o2, dv);
}

void pare_attn_open_chunk(const struct pare_attn_walk *w)
{
    for (uint32_t r = 0; r < w->n; r++) {
        struct pare_attn_query *q = &w->q[r];

        q->m = -INFINITY;
        q->l = 0;
        w->out[r] = q->all_l != 0.0f || q->r->part != NULL ? w->spare + r * w->wide : q->r->out;
        memset(w->out[r], 0, w->a->dv * sizeof(float));
    }
}

void pare_attn_close_chunk(const struct pare_attn_walk *w)
{
    for (uint32_t r = 0; r < w->n; r++) {
        struct pare_attn_query *q = &w->q[r];

        if (q->l == 0.0f) continue;
        if (q->all_l != 0.0f) {
            join(w->v, &q->all_m, &q->all_l, q->r->out, q->m, q->l, w->out[r], w->a->dv);
        } else {
            q->all_m = q->m;
            q->all_l = q->l;
        }
    }
}

/* The sink joins as a page with one score and no value; then the sums become means. */
static void finish(const struct pare_vec *v, const struct pare_attn_row *row, float m, float l, uint32_t dv)
{
    if (l == 0.0f) memset(row->out, 0, dv * sizeof(float)); /* no key at all: no value */
    if (row->sink != NULL) {
        if (!(*row->sink <= m && fabsf(m) < INFINITY)) {
            float up = *row->sink > m ? *row->sink : m, c = pare_expf(m - subtrahend(up));

            l *= c;
            v->scale(row->out, row->out, c, dv);
            m = up;
        }
        l += pare_expf(*row->sink - subtrahend(m));
    }
    if (row->lse != NULL) *row->lse = m + pare_logf(l);
    if (l != 0.0f)
        for (uint32_t j = 0; j < dv; j++) row->out[j] /= l;
}

void pare_attn_finish(const struct pare_attn_walk *w, uint32_t r)
{
    const struct pare_attn_query *q = &w->q[r];
    const struct pare_attn_row   *row = q->r;

    if (row->part != NULL) {
        row->part[0] = q->all_m;
        row->part[1] = q->all_l;
        if (q->all_l != 0.0f) memcpy(row->part + 2, w->spare + r * w->wide, w->a->dv * sizeof(float));
        return;
    }
    finish(w->v, row, q->all_m, q->all_l, w->a->dv);
}

void pare_attn_join(const struct pare_attn_row *row, uint32_t dv, const float *part, uint64_t stride, uint32_t n, const struct pare_vec *v)
{
    float m = -INFINITY, l = 0;

    for (uint32_t i = 0; i < n; i++, part += stride) {
        if (part[1] == 0.0f) continue;
        if (l != 0.0f) {
            join(v, &m, &l, row->out, part[0], part[1], part + 2, dv);
            continue;
        }
        m = part[0];
        l = part[1];
        memcpy(row->out, part + 2, dv * sizeof(float));
    }
    finish(v, row, m, l, dv);
}
