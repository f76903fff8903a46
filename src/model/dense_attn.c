/* SPDX-License-Identifier: Apache-2.0
 * src/model/dense_attn.c: the attention half of a plain decoder layer: queries, keys and values, their norms and rotation, and
 * appending to the sessions. */
#include <string.h>

#include "base/job.h"
#include "base/status.h"
#include "model/dense.h"

static uint32_t q_width(const struct pare_dense_run *r) { return pare_dense_layer_of(r)->n_head * r->d->c.dk; }
static uint32_t k_width(const struct pare_dense_run *r) { return pare_dense_layer_of(r)->n_head_kv * r->d->c.dk; }
static uint32_t qkv_width(const struct pare_dense_run *r) { return pare_dense_qkv_width(r); }

/* The norms of the low-rank parts are made without the config's epsilon in the published code: it is their class's own. */
#define LOW_EPS 1e-6f

struct stage {
    const struct pare_dense_run       *r;
    const struct pare_dense_layer     *l;
    const struct pare_dense_layer_cfg *lc;
};

static void norm_low_row(void *ctx, uint32_t i, uint32_t worker)
{
    struct stage                *s = ctx;
    const struct pare_dense_cfg *c = &s->r->d->c;
    uint32_t                     ld = c->q_rank + c->kv_rank + c->dk_rope;
    float                       *row = s->r->w->low + (uint64_t)i * ld;

    (void)worker;
    if (c->q_rank != 0) s->r->vk->rmsnorm(row, row, s->l->q_a_norm, 0, LOW_EPS, c->q_rank);
    row += c->q_rank;
    s->r->vk->rmsnorm(row, row, s->l->kv_a_norm, 0, LOW_EPS, c->kv_rank);
}

/* Keys are [own part of the head | part shared by all heads], values follow the own parts in kv_b's output. */
static void join_mla_row(void *ctx, uint32_t i, uint32_t worker)
{
    struct stage                *s = ctx;
    const struct pare_dense_cfg *c = &s->r->d->c;
    const float                 *shared, *kvb = s->r->w->kvb + (uint64_t)i * c->n_head * (c->dk_nope + c->dv);
    float                       *k = s->r->w->qkv + (uint64_t)i * qkv_width(s->r) + q_width(s->r), *v = k + k_width(s->r);

    (void)worker;
    shared = s->r->w->low + (uint64_t)i * (c->q_rank + c->kv_rank + c->dk_rope) + c->q_rank + c->kv_rank;
    for (uint32_t h = 0; h < c->n_head; h++) {
        memcpy(k + (uint64_t)h * c->dk, kvb, c->dk_nope * sizeof *k);
        memcpy(k + (uint64_t)h * c->dk + c->dk_nope, shared, c->dk_rope * sizeof *k);
        memcpy(v + (uint64_t)h * c->dv, kvb + c->dk_nope, c->dv * sizeof *v);
        kvb += c->dk_nope + c->dv;
    }
}

/* Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434), here with keys and values expanded before they are stored. */
static void project_mla(struct stage *s, const float *in)
{
    const struct pare_dense_run *r = s->r;
    const struct pare_dense_cfg *c = &r->d->c;
    uint32_t                     ld = c->q_rank + c->kv_rank + c->dk_rope, qw = qkv_width(r);

    if (c->q_rank != 0) pare_dense_linear(r, &s->l->q_a, in, c->n_embd, r->w->low, ld);
    pare_dense_linear(r, &s->l->kv_a, in, c->n_embd, r->w->low + c->q_rank, ld);
    pare_rows_run(r->job, r->n, norm_low_row, s);
    if (c->q_rank != 0)
        pare_dense_linear(r, &s->l->q_b, r->w->low, ld, r->w->qkv, qw);
    else
        pare_dense_linear(r, &s->l->q, in, c->n_embd, r->w->qkv, qw);
    pare_dense_linear(r, &s->l->kv_b, r->w->low + c->q_rank, ld, r->w->kvb, (uint64_t)c->n_head * (c->dk_nope + c->dv));
    pare_rows_run(r->job, r->n, join_mla_row, s);
}

static void project(struct stage *s, const float *in)
{
    const struct pare_dense_run   *r = s->r;
    const struct pare_dense_cfg   *c = &r->d->c;
    const struct pare_dense_layer *l = s->l;
    uint32_t                       qw = qkv_width(r);
    float                         *y = r->w->qkv;

    if (c->t.mla) {
        project_mla(s, in);
        return;
    }
    if (l->qkv.n_parts != 0) {
        pare_dense_linear(r, &l->qkv, in, c->n_embd, y, qw);
        return;
    }
    struct pare_linear_out out[3] = { { &l->q, y, qw }, { &l->k, y + q_width(r), qw },
                                      { &l->v, y + q_width(r) + k_width(r), qw } };
    for (int i = 0; i < 3; i++) pare_observe(r->obs, r->u, out[i].l, in, c->n_embd, r->n);
    pare_linear_apply(out, 3, in, c->n_embd, r->n, r->w->scratch, r->job);
}

/* Norm of the heads of one row of queries or keys, x [heads * dk]. */
static void head_norms(const struct stage *s, float *x, const float *w, const float *b, uint32_t heads)
{
    const struct pare_dense_cfg *c = &s->r->d->c;
    const struct pare_vec       *vk = s->r->vk;
    float                        add = c->gguf ? 0 : c->t.norm_add;
    bool                         whole = c->t.qk_norm == PARE_QKN_WIDTH;
    uint32_t                     n = whole ? heads * c->dk : c->dk;

    if (w == NULL) return;
    for (uint32_t h = 0; h < (whole ? 1 : heads); h++) {
        uint64_t at = c->t.qk_norm == PARE_QKN_HEADS ? (uint64_t)h * c->dk : 0;
        if (c->t.qk_layernorm)
            vk->layernorm(x + (uint64_t)h * n, x + (uint64_t)h * n, w + at, add, b, c->eps, n);
        else
            vk->rmsnorm(x + (uint64_t)h * n, x + (uint64_t)h * n, w + at, add, c->eps, n);
    }
}

static void rotate(const struct stage *s, uint32_t i, float *q, float *k)
{
    const struct pare_dense_cfg *c = &s->r->d->c;
    uint32_t                     half = c->rotary / 2, first = c->t.mla ? c->dk_nope : 0;
    const float                 *cs;

    if (s->lc->rope == PARE_ROPE_NONE) return;
    cs = s->r->w->cs[s->lc->rope == PARE_ROPE_LOCAL] + (uint64_t)i * half * 2;
    for (uint32_t h = 0; h < s->lc->n_head; h++) s->r->vk->rope(q + (uint64_t)h * c->dk + first, cs, half, c->pairs);
    for (uint32_t h = 0; h < s->lc->n_head_kv; h++) s->r->vk->rope(k + (uint64_t)h * c->dk + first, cs, half, c->pairs);
}

static void clamp(float *x, uint64_t n, float limit)
{
    for (uint64_t i = 0; i < n; i++) x[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i];
}

static void store_row(void *ctx, uint32_t i, uint32_t worker)
{
    struct stage                *s = ctx;
    const struct pare_dense_run *r = s->r;
    const struct pare_dense_cfg *c = &r->d->c;
    float                       *q = r->w->qkv + (uint64_t)i * qkv_width(r), *k = q + q_width(r);

    (void)worker;
    if (c->clip > 0) clamp(q, qkv_width(r), c->clip);
    if (c->t.qk_norm_late) rotate(s, i, q, k);
    head_norms(s, q, s->l->q_norm, s->l->q_norm_b, s->lc->n_head);
    head_norms(s, k, s->l->k_norm, s->l->k_norm_b, s->lc->n_head_kv);
    if (!c->t.qk_norm_late) rotate(s, i, q, k);
    pare_kv_put(r->b->session[i]->kv, r->vk, r->u->index, r->b->pos[i], k, k + k_width(r));
}

int pare_dense_attend(const struct pare_dense_run *r, const float *in, struct pare_diag *diag)
{
    struct stage s = { r, &r->d->layer[r->u->index], &r->d->c.layer[r->u->index] };

    for (uint32_t i = 0; i < r->n; i++) PARE_FORWARD(pare_kv_reserve(r->b->session[i]->kv, r->b->pos[i] + 1, diag));
    project(&s, in);
    pare_rows_run(r->job, r->n, store_row, &s);
    pare_dense_heads(r);
    return PARE_OK;
}
